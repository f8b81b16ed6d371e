"""Builds the tables that pages share, and writes names, scores and sizes so that they fit 80 columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.cells import cell_len, chop_cells
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from pipelines.runs.report import Interval
from pipelines.system.text import one_line

WIDTH = 80
CUT = ".."  # stands for what is cut from a name


def new_table(
    headings: Sequence[str], *, right: Collection[str] = (), gap: int = 2, caption: str = "", wraps: bool = False
) -> Table:
    """A table without rows, with a line under its headings.

    Args:
        headings: of the columns.
        right: headings of the columns that are aligned to the right (numbers).
        gap: blanks between columns, less one.
        caption: a remark below the table, which wraps it to the width of the table.
        wraps: whether cells that are aligned to the left may take several lines where the terminal is narrow.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, gap, 0, 0),
        pad_edge=False,
        show_edge=False,
        caption=Text(caption) if caption else None,
        caption_justify="left",
    )
    for heading in headings:
        is_right = heading in right
        table.add_column(
            Text(heading), justify="right" if is_right else "left", no_wrap=is_right or not wraps, overflow="fold"
        )
    return table


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Collection[str] = ()) -> Table:
    """A table of cells as they are, wrapped rather than cut where the terminal is narrow.

    Args:
        columns: the headings.
        rows: cells, printed by `str`, control characters escaped.
        right: headings of the columns that are aligned to the right (numbers).
    """
    drawn = new_table(columns, right=right, wraps=True)
    for row in rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    return drawn


def remark(text: str) -> Text:
    """A remark in the style of a caption; unlike a caption it may be wider than the table above it."""
    return Text(text, style="table.caption")


def shortened(name: str, width: int, mark: str = CUT) -> str:
    """`name` in at most `width` terminal cells: `mark` replaces the end of a longer name."""
    text = one_line(name)
    if cell_len(text) <= width:
        return text
    return chop_cells(text, width - len(mark))[0] + mark


def shortened_inside(name: str, width: int) -> str:
    """`name` in at most `width` terminal cells: of a longer name the first third and the end stay.

    Names of ensemble members differ at their ends.
    """
    text = one_line(name)
    if cell_len(text) <= width:
        return text
    start = chop_cells(text, width // 3 + len(CUT))[0]
    end_width = width - cell_len(start) - len(CUT)
    end = next(text[place:] for place in range(len(text) + 1) if cell_len(text[place:]) <= end_width)
    return f"{start}{CUT}{end}"


def scored(value: float, interval: Interval | None) -> str:
    """A score and its 95 % interval, such as `0.884 (0.851 .. 0.911)`."""
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} .. {interval[1]:.3f})"


def file_size(size: float) -> str:
    """Bytes in powers of 1,000, such as `4.2 MB`."""
    return decimal(round(size)).replace(" bytes", " B").replace(" byte", " B")


def millions(count: int) -> str:
    """A number of parameters, such as `138.4 M` or `0.06 M`."""
    return f"{count / 1e6:,.1f} M" if count >= 950_000 else f"{count / 1e6:.2f} M"
