"""What `compare` prints: what the runs are and cost, then what they are worth, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.pages.report import scored
from app.pages.tables import file_size, new_table, shortened
from pipelines.compare import ComparedRun
from pipelines.runs.report import Comparison

NAME_WIDTH, BACKBONE_WIDTH = 14, 17


def compare_page(rows: Sequence[ComparedRun]) -> Group:
    """The runs, in the order given.

    Args:
        rows: one or more.
    """
    names = _names(rows)
    images = sorted({row.images for row in rows})
    counts = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    # Words of their own, not captions: a caption is wrapped to the width of its table.
    parts: list[RenderableType] = [
        _costs(rows, names),
        _words("trained: layers, and the head with them; images/s: answered on this machine"),
        "",
        _worth(rows, names),
        _words(f"on {counts} {rows[0].part} images; in brackets: 95 % intervals"),
    ]
    if len(rows) > 1:
        words = _words("paired: the same images, drawn together; * the interval leaves 0 out")
        parts += ["", _differences(rows, names), words]
    return Group(*parts)


def _words(text: str) -> Text:
    return Text(text, style="dim italic")


def _costs(rows: Sequence[ComparedRun], names: Sequence[str]) -> Table:
    table = new_table(gap=1)
    for heading in ("run", "backbone", "trained"):
        table.add_column(heading, no_wrap=True)
    for heading in ("params", "took", "images/s", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row, name in zip(rows, names, strict=True):
        table.add_row(
            Text(name),
            Text(shortened(row.backbone, BACKBONE_WIDTH)),
            row.trained.removeprefix("head + "),
            "-" if row.parameters is None else f"{row.parameters / 1e6:,.1f} M",
            _duration(row.seconds),
            "-" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
            file_size(row.size),
        )
    return table


def _worth(rows: Sequence[ComparedRun], names: Sequence[str]) -> Table:
    table = new_table()
    for heading in ("run", "accuracy", "log-loss"):
        table.add_column(heading, no_wrap=True)
    for row, name in zip(rows, names, strict=True):
        table.add_row(
            Text(name), scored(row.accuracy, row.accuracy_interval), scored(row.log_loss, row.log_loss_interval)
        )
    return table


def _differences(rows: Sequence[ComparedRun], names: Sequence[str]) -> Table:
    table = new_table()
    for heading in (f"minus {names[0]}", "accuracy (points)", "log-loss"):
        table.add_column(Text(heading), no_wrap=True)
    for row, name in zip(rows[1:], names[1:], strict=True):
        accuracy, log_loss = row.accuracy_difference, row.log_loss_difference
        if accuracy is None or log_loss is None:
            table.add_row(Text(name), "other test images", "")
        else:
            table.add_row(Text(name), _difference(accuracy, 100, 1), _difference(log_loss, 1, 3))
    return table


def _difference(comparison: Comparison, scale: float, digits: int) -> str:
    value, low, high = (scale * number for number in (comparison.value, *comparison.interval))
    return f"{value:+.{digits}f} ({low:+.{digits}f} .. {high:+.{digits}f}){' *' if comparison.is_clear else ''}"


def _names(rows: Sequence[ComparedRun]) -> list[str]:
    """The folders' last parts where they tell the runs apart; else numbered."""
    last = [row.run.rstrip("/").rpartition("/")[2] or row.run for row in rows]
    cut = [shortened(name, NAME_WIDTH) for name in last]
    return cut if len(set(cut)) == len(cut) else [f"{place} {name}" for place, name in enumerate(cut, 1)]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
