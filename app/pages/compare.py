"""Prints runs side by side: what they are and cost, their scores, and their differences from the first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.pages.tables import file_size, millions, new_table, remark, scored, shortened_inside
from pipelines.reports.compared_run import ComparedRun
from pipelines.runs.report import Comparison

NAME_WIDTH, BACKBONE_WIDTH = 14, 17


def compare_page(rows: Sequence[ComparedRun]) -> Group:
    """The page of `compare`.

    Args:
        rows: one or more runs, in the order given.
    """
    names = _names(rows)
    images = sorted({row.images for row in rows})
    counts = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    noun = "image" if images == [1] else "images"
    parts: list[RenderableType] = [
        _costs(rows, names),
        remark("trained: blocks beside the head; took: training; images/s: on this machine"),
        "",
        _scores(rows, names),
        remark(f"on {counts} {rows[0].part} {noun}; in brackets: 95 % intervals"),
    ]
    if len(rows) > 1:
        parts += [
            "",
            Text(f"difference from the first run, {names[0]}:"),
            _differences(rows, names),
            remark("paired, on the same images; * the interval excludes zero"),
        ]
    return Group(*parts)


def _costs(rows: Sequence[ComparedRun], names: Sequence[str]) -> Table:
    numbers = ("params", "took", "images/s", "size")
    table = new_table(("run", "backbone", "trained", *numbers), right=numbers, gap=1)
    for row, name in zip(rows, names, strict=True):
        table.add_row(
            Text(name),
            Text(shortened_inside(row.backbone, BACKBONE_WIDTH)),
            row.trained.removeprefix("head + "),
            "-" if row.parameters is None else millions(row.parameters),
            _duration(row.seconds),
            "-" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
            file_size(row.size),
        )
    return table


def _scores(rows: Sequence[ComparedRun], names: Sequence[str]) -> Table:
    table = new_table(("run", "accuracy", "log-loss"))
    for row, name in zip(rows, names, strict=True):
        table.add_row(
            Text(name), scored(row.accuracy, row.accuracy_interval), scored(row.log_loss, row.log_loss_interval)
        )
    return table


def _differences(rows: Sequence[ComparedRun], names: Sequence[str]) -> Table:
    table = new_table(("run", "accuracy (points)", "log-loss"))
    for row, name in zip(rows[1:], names[1:], strict=True):
        accuracy, log_loss = row.accuracy_difference, row.log_loss_difference
        if accuracy is None or log_loss is None:
            table.add_row(Text(name), "evaluated on other images", "")
        else:
            table.add_row(Text(name), _difference(accuracy, 100, 1), _difference(log_loss, 1, 3))
    return table


def _difference(comparison: Comparison, scale: float, digits: int) -> str:
    value, low, high = (scale * number for number in (comparison.value, *comparison.interval))
    return f"{value:+.{digits}f} ({low:+.{digits}f} .. {high:+.{digits}f}){' *' if comparison.is_clear else ''}"


def _names(rows: Sequence[ComparedRun]) -> list[str]:
    """The last parts of the folders where they are distinct; else with numbers before them."""
    folders = [row.run.rstrip("/").rpartition("/")[2] or row.run for row in rows]
    names = [shortened_inside(folder, NAME_WIDTH) for folder in folders]
    return names if len(set(names)) == len(names) else [f"{place} {name}" for place, name in enumerate(names, 1)]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
