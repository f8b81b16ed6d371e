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


def draw_run(
    folder: Path, manifest: Manifest, target: Path, *, name: str, reporter: Reporter, has_pictures: bool = True
) -> None:
    """Draw the page of a run and, into its folder, the pictures of what it gets right and wrong.

    Args:
        folder: of the run, complete but for its manifest.
        manifest: of it.
        target: file of the page.
        name: of the run, as its page calls it.
        reporter: shows that it is drawn.
        has_pictures: whether the pictures are drawn, too.

    Raises:
        UserError: a file of the run is damaged.
    """
    from pipelines.reports.judged_run import read_judged_run
    from pipelines.reports.page import write_page
    from pipelines.reports.pictures import draw_pictures

    with reporter.task("drawing the report", None):
        run = read_judged_run(folder, manifest)
        write_page(run, target, name=name)
        if has_pictures and run.predictions is not None:
            predictions = run.predictions.probabilities, run.predictions.labels
            draw_pictures(folder, run.report, predictions, run.judged_examples())


def page_drawer(run: str, reporter: Reporter) -> DrawPage:
    """A function that draws the page and the pictures of a run into the folder that it is made in.

    Args:
        run: folder of the run, as the user named it; it may be made beside that and put there when it is complete.
        reporter: shows that it is drawn.
    """

    def draw(folder: Path, manifest: Manifest) -> None:
        draw_run(folder, manifest, folder / REPORT_FILE, name=Path(run).absolute().name, reporter=reporter)

    return draw
