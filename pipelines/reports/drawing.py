"""Draws the page of a run before it is complete, without importing what that takes before it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.runs.layout import REPORT_FILE

if TYPE_CHECKING:
    from pipelines.runs.folder import DrawPage
    from pipelines.runs.manifest import Manifest
    from pipelines.system.progress import Reporter


def page_drawer(run: str, reporter: Reporter) -> DrawPage:
    """A function that draws the page of a run into the folder that it is made in.

    Args:
        run: folder of the run, as the user named it; it may be made beside that and put there when it is complete.
        reporter: shows that it is drawn.
    """

    def draw(folder: Path, manifest: Manifest) -> None:
        from pipelines.reports.page import write_page

        with reporter.task("drawing the report", None):
            write_page(folder, manifest, folder / REPORT_FILE, name=Path(run).absolute().name)

    return draw
