"""The option of `train` and `ensemble` for the page of a run, and what it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.console import Terminal

WithReport = Annotated[
    bool,
    typer.Option("--report/--no-report", help="Write `report.html` into the run, a page that shows it."),
]


def show_report(terminal: Terminal, run: str, *, wanted: bool) -> None:
    """Say where the page of a run is, where it was wanted."""
    from pipelines.runs.layout import REPORT_FILE

    if wanted:
        terminal.note(f"report: `{Path(run) / REPORT_FILE}`, a page to open in a browser")
