"""Prints how often the sets of classes hold the true one, for all images and for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from app.pages.report import LISTED_CLASSES, NAME_WIDTH, WORST_CLASSES
from app.pages.tables import new_table, scored, shortened
from pipelines.system.text import one_line

if TYPE_CHECKING:
    from pipelines.evaluation.coverage import Coverage


def coverage_page(coverage: Coverage) -> Group:
    """A line for all images, and a table of the classes; of very many classes those that are covered least."""
    listed = [score for score in coverage.classes if score.images]
    caption = "in brackets: 95 % intervals"
    if len(listed) > LISTED_CLASSES:
        listed = sorted(listed, key=lambda score: score.value or 0.0)[:WORST_CLASSES]
        caption += f"; the {len(listed)} of {len(coverage.classes):,} classes that are covered least, all in `--json`"
    right = ("mean size", "images")
    table = new_table(("class", "coverage", *right), right=right, caption=caption)
    for score in listed:
        cells = (scored(score.value or 0.0, score.interval), f"{score.mean_size:.2f}", f"{score.images:,}")
        table.add_row(Text(shortened(score.name, NAME_WIDTH)), *cells)
    return Group("", Text(one_line(coverage.rule.line)), Text(one_line(coverage.line)), "", table)
