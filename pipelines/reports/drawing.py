"""Draws the page and the pictures of a run before it is complete; what that takes is imported when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.runs.layout import REPORT_FILE

if TYPE_CHECKING:
    from pipelines.evaluation.predictions import Predictions
    from pipelines.runs.examples import Example
    from pipelines.runs.folder import DrawPage
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.report import Report
    from pipelines.system.progress import Reporter


def draw_into(
    folder: Path, scores: Report, predictions: Predictions, examples: Sequence[Example], reporter: Reporter
) -> None:
    """Draw the pictures of an evaluation into a folder, which is made if need be.

    Args:
        folder: in one that exists.
        scores: of the predictions.
        predictions: probabilities (images, classes) and true classes.
        examples: the images, in the same order.
        reporter: shows that they are drawn.
    """
    from pipelines.reports.pictures import draw_pictures

    with reporter.task("drawing the pictures", None):
        folder.mkdir(exist_ok=True)
        draw_pictures(folder, scores, predictions, examples)


def page_drawer(run: str, reporter: Reporter) -> DrawPage:
    """A function that draws the page and the pictures of a run into the folder that it is made in.

    Args:
        run: folder of the run, as the user named it; it may be made beside that and put there when it is complete.
        reporter: shows that it is drawn.
    """

    def draw(folder: Path, manifest: Manifest) -> None:
        from pipelines.reports.page import write_page
        from pipelines.reports.pictures import draw_pictures_of_run

        with reporter.task("drawing the report", None):
            write_page(folder, manifest, folder / REPORT_FILE, name=Path(run).absolute().name)
            draw_pictures_of_run(folder, manifest)

    return draw
