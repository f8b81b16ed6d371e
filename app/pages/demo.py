"""Prints the end of the demo: the scores with and without a head start, a prediction and an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType

from app.pages.confusion import confused_table, matrix_table
from app.pages.export import export_page
from app.pages.tables import scored, table
from pipelines.runs.report import Report

if TYPE_CHECKING:
    from pipelines.demo import Demo

LISTED_PAIRS = 3  # of the classes confused most often


def demo_page(demo: Demo) -> tuple[RenderableType, ...]:
    """The parts of the page: two trainings side by side, a confusion matrix, a prediction, an export, what is next."""
    transfer, exported = demo.transfer, demo.exported
    top_classes = ", ".join(f"{label} {probability:.3f}" for label, probability in demo.prediction.top_k)
    numbers = ("accuracy", "log-loss", "seconds")
    return (
        "",
        f"The digits 5 to 9, learned from 20 images each, evaluated on {transfer.images} others:",
        table(
            ("", *numbers),
            (
                _row("head on frozen base", transfer, demo.transfer_seconds),
                _row("all from scratch", demo.scratch, demo.scratch_seconds),
            ),
            right=numbers,
        ),
        "in brackets: 95 % intervals",
        "",
        "Confusion matrix of the head on the frozen base:",
        matrix_table(transfer),
        *(("", confused_table(transfer.confused[:LISTED_PAIRS])) if transfer.confused else ()),
        "",
        f"Prediction for an image of a {demo.truth}: {top_classes}",
        "",
        f"Exported to {exported.path}, loaded again without headstart:",
        export_page([exported]),
        "",
        f"Everything is in {demo.folder} ({demo.seconds:.0f} s). With images of your own:",
        "  headstart train photos/ --out runs/photos",
    )


def _row(name: str, report: Report, seconds: float) -> tuple[str, ...]:
    return (
        name,
        scored(report.accuracy, report.accuracy_interval),
        scored(report.log_loss, report.log_loss_interval),
        f"{seconds:.0f}",
    )
