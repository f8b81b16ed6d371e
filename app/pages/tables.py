"""What the pages share: plain tables, names and numbers that fit 80 columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.cells import cell_len, chop_cells
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from pipelines.system.text import one_line

WIDTH = 80


def new_table(gap: int = 2) -> Table:
    """A table with a line under its headings and `gap` + 1 blanks between columns."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Collection[str] = ()) -> Table:
    """A plain table of cells as they are.

    Args:
        columns: the headings.
        rows: cells, printed by `str`, control characters escaped.
        right: headings of the columns that are aligned to the right (numbers).
    """
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name, justify="right" if name in right else "left", no_wrap=name in right, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    return drawn


def shortened(name: str, width: int, mark: str = "..") -> str:
    """A name in at most `width` terminal cells, its end replaced by `mark` where it is longer."""
    text = one_line(name)
    if cell_len(text) <= width:
        return text
    return chop_cells(text, width - len(mark))[0] + mark


def file_size(size: float) -> str:
    """Bytes in powers of 1,000, as `4.2 MB`."""
    return decimal(round(size)).replace(" bytes", " B").replace(" byte", " B")
