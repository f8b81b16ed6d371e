"""Prints a report as tables: scores with their intervals, scores of each class, confusions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.pages.confusion import MATRIX_CLASSES, confused_table, matrix_table
from app.pages.tables import new_table, scored, shortened
from pipelines.runs.examples import Split
from pipelines.runs.report import ClassScore, Report
from pipelines.system.text import counted

NAME_WIDTH = 32
LISTED_CLASSES, WORST_CLASSES = 50, 20  # of more than the first number of classes, only the second number is listed


@dataclass(frozen=True, slots=True, kw_only=True)
class _SummaryRow:
    """One row of a summary.

    Attributes:
        title: its name; `{k}` is the number of classes that top-k looks at.
        field: of `Report`.
        is_brief: whether the end of a training shows it too.
    """

    title: str
    field: str
    is_brief: bool = False


_SUMMARY = (
    _SummaryRow(title="accuracy", field="accuracy", is_brief=True),
    _SummaryRow(title="balanced accuracy", field="balanced_accuracy"),
    _SummaryRow(title="macro F1", field="macro_f1", is_brief=True),
    _SummaryRow(title="macro precision", field="macro_precision"),
    _SummaryRow(title="macro recall", field="macro_recall"),
    _SummaryRow(title="weighted F1", field="weighted_f1"),
    _SummaryRow(title="weighted precision", field="weighted_precision"),
    _SummaryRow(title="weighted recall", field="weighted_recall"),
    _SummaryRow(title="top-{k}", field="top_k_accuracy", is_brief=True),
    _SummaryRow(title="log-loss", field="log_loss", is_brief=True),
    _SummaryRow(title="calibration error", field="ece"),
)


def evaluation_page(report: Report) -> Group:
    """What `evaluate` prints: summary, classes, confusion matrix and the pairs confused most often."""
    tables = [summary_table({counted(report.images, "image"): report}), class_table(report.classes)]
    if len(report.classes) <= MATRIX_CLASSES:
        tables.append(matrix_table(report))
    if report.confused:
        tables.append(confused_table(report.confused))
    spaced: list[RenderableType] = [tables[0]]
    for table in tables[1:]:
        spaced += ["", table]
    return Group(*spaced)


def training_page(reports: Mapping[Split, Report] | Mapping[str, Report], *, is_out_of_fold: bool = False) -> Table:
    """The end of a training: the main scores, a column for each part (validation, test).

    Args:
        reports: part -> its scores.
        is_out_of_fold: whether those of the validation part are of predictions out of fold.
    """
    names = {"validation": "cross-validated"} if is_out_of_fold else {}
    columns = {
        f"{names.get(part, part)} ({counted(report.images, 'image')})": report for part, report in reports.items()
    }
    return summary_table(columns, is_brief=True)


def summary_table(reports: Mapping[str, Report], *, is_brief: bool = False) -> Table:
    """Scores with their 95 % intervals, a column for each report, at most two.

    Args:
        reports: column heading -> report.
        is_brief: whether only the main scores are shown.
    """
    table = new_table(["", *reports], caption="in brackets: 95 % intervals")
    first = next(iter(reports.values()))
    top_k, num_classes = first.top_k, len(first.classes)
    for row in _SUMMARY:
        # Top-1 is the accuracy once more, and top-5 of six classes says nothing at the end of a training.
        is_needless = row.field == "top_k_accuracy" and (top_k == 1 or (is_brief and 2 * top_k > num_classes))
        if is_needless or (is_brief and not row.is_brief):
            continue
        scores = [
            scored(getattr(report, row.field), getattr(report, f"{row.field}_interval", None))
            for report in reports.values()
        ]
        table.add_row(row.title.format(k=top_k), *scores)
    return table


def class_table(classes: Sequence[ClassScore]) -> Table:
    """Precision, recall, F1 and number of images of each class; of very many, the classes with the lowest F1."""
    listed, caption = list(classes), ""
    if len(listed) > LISTED_CLASSES:
        with_images = [score for score in classes if score.f1 is not None]
        listed = sorted(with_images, key=lambda score: score.f1 or 0.0)[:WORST_CLASSES]
        caption = f"lowest {len(listed)} of {len(classes):,} by F1; all in `--json`"
    numbers = ("precision", "recall", "F1", "images")
    table = new_table(("class", *numbers), right=numbers, caption=caption)
    for score in listed:
        cells = ["-" if value is None else f"{value:.3f}" for value in (score.precision, score.recall, score.f1)]
        table.add_row(Text(shortened(score.name, NAME_WIDTH)), *cells, f"{score.support:,}")
    return table


def next_lines(out: str) -> tuple[str, ...]:
    """Where the run is, and the commands that come next.

    Args:
        out: the folder of the run, as the user named it.
    """
    run = shlex.quote(out)
    return (
        f"the run is in `{out}`",
        f"next: headstart predict {run} IMAGE",
        f"next: headstart evaluate {run} OTHER-LABELLED-IMAGES",
        f"next: headstart export {run} --out exported",
    )


def skipped_line(count: int) -> str:
    """The warning that files were left out because they are not images."""
    verbs = ("is not a readable image", "was") if count == 1 else ("are not readable images", "were")
    return f"{counted(count, 'file')} {verbs[0]} and {verbs[1]} left out"
