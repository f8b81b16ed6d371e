"""A report as tables for people: at most 80 columns, no line wrapped, whatever the classes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.pages.tables import WIDTH, new_table, shortened
from pipelines.runs.examples import Split
from pipelines.runs.report import ClassScore, Confusion, Interval, Report

NAME_WIDTH = 32
LEAST_NAME = 11  # of a row of the confusion matrix, as wide as its heading
MATRIX_CLASSES = 12  # more columns than this do not fit
LISTED_CLASSES = 50
WORST_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of a summary: its words, the field of the report, and whether the brief one has it too."""

    words: str
    field: str
    brief: bool


_SUMMARY = (
    _Line(words="accuracy", field="accuracy", brief=True),
    _Line(words="balanced accuracy", field="balanced_accuracy", brief=False),
    _Line(words="macro F1", field="macro_f1", brief=True),
    _Line(words="macro precision", field="macro_precision", brief=False),
    _Line(words="macro recall", field="macro_recall", brief=False),
    _Line(words="weighted F1", field="weighted_f1", brief=False),
    _Line(words="weighted precision", field="weighted_precision", brief=False),
    _Line(words="weighted recall", field="weighted_recall", brief=False),
    _Line(words="top-{k}", field="top_k_accuracy", brief=True),
    _Line(words="log-loss", field="log_loss", brief=True),
    _Line(words="calibration error", field="ece", brief=False),
)


def evaluation_page(report: Report) -> Group:
    """All that `evaluate` prints: summary, classes, confusion matrix and the pairs confused most."""
    parts: list[RenderableType] = [summary_table({f"{report.images:,} images": report}), class_table(report.classes)]
    if len(report.classes) <= MATRIX_CLASSES:
        parts.append(matrix_table(report))
    if report.confused:
        parts.append(confused_table(report.confused))
    spaced: list[RenderableType] = [parts[0]]
    for part in parts[1:]:
        spaced += ["", part]
    return Group(*spaced)


def training_page(reports: Mapping[Split, Report] | Mapping[str, Report]) -> Table:
    """The end of a training: the main scores, one column a part (validation, test)."""
    columns = {f"{part} ({report.images:,} images)": report for part, report in reports.items()}
    return summary_table(columns, brief=True)


def summary_table(reports: Mapping[Split, Report] | Mapping[str, Report], *, brief: bool = False) -> Table:
    """Scores with their 95 % intervals, one column a report, at most two.

    Args:
        reports: column heading -> report.
        brief: only the main scores.
    """
    table = new_table()
    table.add_column("", no_wrap=True)
    for heading in reports:
        table.add_column(Text(heading), justify="left", no_wrap=True)
    first = next(iter(reports.values()))
    for line in _SUMMARY:
        # The top-1 of two classes is the accuracy once more.
        if (brief and not line.brief) or (line.field == "top_k_accuracy" and first.top_k == 1):
            continue
        intervals = (getattr(each, f"{line.field}_interval", None) for each in reports.values())
        values = (getattr(each, line.field) for each in reports.values())
        table.add_row(line.words.format(k=first.top_k), *map(scored, values, intervals))
    table.caption = "in brackets: 95 % intervals"
    table.caption_justify = "left"
    return table


def scored(value: float, interval: Interval | None) -> str:
    """A score and its 95 % interval, such as `0.884 (0.851 .. 0.911)`."""
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} .. {interval[1]:.3f})"


def class_table(classes: Sequence[ClassScore]) -> Table:
    """Precision, recall, F1 and support of each class; of very many, those with the lowest F1."""
    table = new_table()
    table.add_column("class", no_wrap=True)
    for heading in ("precision", "recall", "F1", "images"):
        table.add_column(heading, justify="right", no_wrap=True)
    listed = list(classes)
    if len(listed) > LISTED_CLASSES:
        judged = [each for each in listed if each.f1 is not None]
        listed = sorted(judged, key=lambda each: each.f1 or 0.0)[:WORST_CLASSES]
        table.caption = f"lowest {len(listed)} of {len(classes):,} by F1; all in `--json`"
        table.caption_justify = "left"
    for each in listed:
        scores = ["-" if score is None else f"{score:.3f}" for score in (each.precision, each.recall, each.f1)]
        table.add_row(Text(shortened(each.name, NAME_WIDTH)), *scores, f"{each.support:,}")
    return table


def matrix_table(report: Report) -> Table:
    """The confusion matrix of at most a dozen classes: right classes down, predicted ones across."""
    names, table = report.class_names, new_table(gap=1)
    cells = [[str(count) if count else "." for count in row] for row in report.confusion_matrix]
    if _left(cells, ()) < LEAST_NAME:
        cells = [_shares(row) for row in report.confusion_matrix]
        table.caption = "per cent of the images of the right class"
        table.caption_justify = "left"
    widest = max(len(cell) for row in cells for cell in row)
    heads = abbreviated(names, max(widest, min(10, (WIDTH - LEAST_NAME) // len(names) - 2)))
    if heads[0] == "1":
        names = tuple(f"{number} {name}" for number, name in enumerate(names, 1))
    left = min(NAME_WIDTH, _left(cells, heads))
    table.add_column("right class", no_wrap=True)
    for head in heads:
        table.add_column(Text(head), justify="right", no_wrap=True)
    for place, (name, row) in enumerate(zip(names, cells, strict=True)):
        shown = [Text(cell, style="bold" if column == place else "") for column, cell in enumerate(row)]
        table.add_row(Text(shortened(name, left)), *shown)
    return table


def _left(cells: Sequence[Sequence[str]], heads: Sequence[str]) -> int:
    """Terminal cells left for the row names; two blanks stand before each column."""
    columns = [*zip(*cells, strict=True)]
    widths = [max(len(cell) for cell in column) for column in columns]
    return WIDTH - sum(
        2 + max(width, *map(cell_len, heads[place : place + 1]), 0) for place, width in enumerate(widths)
    )


def _shares(row: Sequence[int]) -> list[str]:
    total = sum(row)
    return [f"{100 * count / total:.0f}" if count else "." for count in row]


def confused_table(pairs: Sequence[Confusion]) -> Table:
    """The pairs of classes confused most often."""
    table = new_table()
    for heading in ("most confused", "taken for"):
        table.add_column(heading, no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("of the class", justify="right", no_wrap=True)
    for pair in pairs:
        names = [Text(shortened(name, 24)) for name in (pair.label, pair.predicted)]
        table.add_row(*names, f"{pair.count:,}", f"{100 * pair.share:.1f} %")
    return table


def abbreviated(names: Sequence[str], width: int) -> list[str]:
    """Column headings of at most `width` cells that tell the names apart: the names, cut; else numbers from 1."""
    cut = [shortened(name, width, mark="") for name in names]
    if len({name.casefold() for name in cut}) == len(names):
        return cut
    return [str(number) for number in range(1, len(names) + 1)]
