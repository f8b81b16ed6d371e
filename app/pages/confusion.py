"""Shows which classes a model confuses: the confusion matrix, and the pairs confused most often."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from app.pages.tables import WIDTH, new_table, shortened
from pipelines.runs.report import Confusion, Report

TRUE_CLASS = "true class"
MATRIX_CLASSES = 12  # more columns than this do not fit
MATRIX_NAME_WIDTH, PAIR_NAME_WIDTH = 32, 24
COLUMN_NAME_WIDTH = 10


def matrix_table(report: Report) -> Table:
    """The confusion matrix of at most `MATRIX_CLASSES` classes: true classes down, predicted ones across.

    Cells are numbers of images; where those are too wide for 80 columns, per cent of the images of the true class.
    """
    names, matrix, caption = report.class_names, report.confusion_matrix, ""
    assert matrix is not None, "a report lacks the matrix of hundreds of classes alone"
    cells = [[str(count) if count else "." for count in row] for row in matrix]
    if _name_width(cells) < len(TRUE_CLASS):
        cells = [_percentages(row) for row in matrix]
        caption = "per cent of the images of the true class"
    headings = _headings(names, cells)
    if headings != list(names) and headings == _numbers(len(names)):
        names = tuple(f"{number} {name}" for number, name in enumerate(names, 1))
    width = min(MATRIX_NAME_WIDTH, _name_width(cells, headings))
    table = new_table([TRUE_CLASS, *headings], right=headings, gap=1, caption=caption)
    for place, (name, row) in enumerate(zip(names, cells, strict=True)):
        counts = [Text(cell, style="bold" if column == place else "") for column, cell in enumerate(row)]
        table.add_row(Text(shortened(name, width)), *counts)
    return table


def confused_table(pairs: Sequence[Confusion]) -> Table:
    """The pairs of classes that are confused most often."""
    numbers = ("images", "of the class")
    table = new_table(("most confused", "predicted as", *numbers), right=numbers)
    for pair in pairs:
        names = [Text(shortened(name, PAIR_NAME_WIDTH)) for name in (pair.label, pair.predicted)]
        table.add_row(*names, f"{pair.count:,}", f"{100 * pair.share:.1f} %")
    return table


def abbreviated(names: Sequence[str], width: int) -> list[str]:
    """Column headings of at most `width` cells: the names, cut, where they stay distinct; else numbers from 1."""
    cut = [shortened(name, width, mark="") for name in names]
    if len({name.casefold() for name in cut}) == len(names):
        return cut
    return _numbers(len(names))


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _headings(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Headings that are as wide as the widest cell, or wider where the 80 columns allow it."""
    widest_cell = max(len(cell) for row in cells for cell in row)
    room = (WIDTH - len(TRUE_CLASS)) // len(names) - 2
    return abbreviated(names, max(widest_cell, min(COLUMN_NAME_WIDTH, room)))


def _name_width(cells: Sequence[Sequence[str]], headings: Sequence[str] = ()) -> int:
    """Terminal cells that the columns leave for the names of the rows; two blanks stand before each column."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if headings:
        widths = [max(width, cell_len(heading)) for width, heading in zip(widths, headings, strict=True)]
    return WIDTH - sum(2 + width for width in widths)


def _percentages(row: Sequence[int]) -> list[str]:
    total = sum(row)
    return [f"{100 * count / total:.0f}" if count else "." for count in row]
