"""Prints the end of the demo: the scores with and without a head start, a prediction, an export and the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType

from app.pages.confusion import confused_table
from app.pages.export import export_page
from app.pages.tables import scored, table

if TYPE_CHECKING:
    from pipelines.demo import Demo
    from pipelines.reports.compared_run import ComparedRun

LISTED_PAIRS = 3  # of the classes confused most often


def demo_page(demo: Demo) -> tuple[RenderableType, ...]:
    """The parts of the page: two trainings side by side, a prediction, an export, the picture, what is next."""
    report, exported, difference = demo.report, demo.exported, demo.difference
    top_classes = ", ".join(f"{label} {probability:.3f}" for label, probability in demo.prediction.top_k)
    value, low, high = (100 * number for number in (difference.value, *difference.interval))
    numbers = ("accuracy", "log-loss", "seconds")
    return (
        "",
        f"{len(report.class_names)} Greek letters, evaluated on {report.images} images that chose nothing:",
        table(
            ("", *numbers),
            (_row("head on frozen base", demo.transfer), _row("all from scratch", demo.scratch)),
            right=numbers,
        ),
        f"The head start is worth {value:+.1f} points of accuracy ({low:+.1f} .. {high:+.1f}, paired).",
        "in brackets: 95 % intervals",
        *(("", confused_table(report.confused[:LISTED_PAIRS])) if report.confused else ()),
        "",
        f"Prediction for an image of a {demo.truth}: {top_classes}",
        "",
        f"Exported to {exported.path}, loaded again without headstart:",
        export_page([exported]),
        "",
        f"The picture of it all: {demo.picture}",
        f"Everything is in {demo.folder} ({demo.seconds:.0f} s). With images of your own:",
        "  headstart train photos/",
    )


def _row(name: str, run: ComparedRun) -> tuple[str, ...]:
    accuracy, log_loss = scored(run.accuracy, run.accuracy_interval), scored(run.log_loss, run.log_loss_interval)
    return name, accuracy, log_loss, f"{run.seconds:.0f}"
