"""The page at the end of the demo: what the head start was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType

from app.pages.export import export_page
from app.pages.report import confused_table, matrix_table, scored
from app.pages.tables import table
from pipelines.runs.report import Report

if TYPE_CHECKING:
    from pipelines.demo import Demo


def demo_page(demo: Demo) -> tuple[RenderableType, ...]:
    """Two ways to learn the digits 5 to 9 side by side, a matrix, a prediction, an export, and what to type next."""
    prediction, exported = demo.prediction, demo.exported
    candidates = ", ".join(f"{label} {share:.3f}" for label, share in prediction.top_k)
    images = demo.transfer.images
    return (
        "",
        f"Learning the digits 5 to 9 from 20 pictures each, judged on {images} others:",
        table(
            ("", "accuracy", "log-loss", "seconds"),
            (
                _row("head on frozen base", demo.transfer, demo.transfer_seconds),
                _row("all from scratch", demo.scratch, demo.scratch_seconds),
            ),
            right=("accuracy", "log-loss", "seconds"),
        ),
        "in brackets: 95 % intervals",
        "",
        "What the new head takes for what:",
        matrix_table(demo.transfer),
        *(("", confused_table(demo.transfer.confused[:3])) if demo.transfer.confused else ()),
        "",
        f"One picture of a {demo.truth}: {candidates}",
        "",
        f"Exported to {exported.path}, loaded again without headstart:",
        export_page([exported]),
        "",
        f"Everything is in {demo.folder} ({demo.seconds:.0f} s). With pictures of your own:",
        "  headstart train photos/ --out runs/photos",
    )


def _row(name: str, report: Report, seconds: float) -> tuple[str, ...]:
    return (
        name,
        scored(report.accuracy, report.accuracy_interval),
        scored(report.log_loss, report.log_loss_interval),
        f"{seconds:.0f}",
    )
