"""Reads what the page and the pictures of a run are drawn from: what judges it, its predictions, its images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.evaluation.saved_predictions import SavedPredictions, read_predictions
from pipelines.reports.verdict import Verdict, judge
from pipelines.runs.split_file import read_split

if TYPE_CHECKING:
    from pipelines.runs.examples import Example
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.report import Report

# Of more classes than this, the most frequent confusions are shown instead of a matrix.
MATRIX_CLASSES = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRun:
    """A run, and the images that judge it.

    Attributes:
        folder: of the run.
        manifest: of it.
        verdict: on it; its part is that of the images.
        predictions: of these images; None of a run that has none.
        examples: all images of the run.
    """

    folder: Path
    manifest: Manifest
    verdict: Verdict
    predictions: SavedPredictions | None
    examples: tuple[Example, ...]

    @property
    def report(self) -> Report:
        """The scores that judge it."""
        return self.manifest.metrics[self.verdict.part]

    def judged_examples(self) -> list[Example | None]:
        """The images of the predictions, in their order; None of one that is not known any more."""
        if self.predictions is None:
            return []
        example_of = {example.sha256: example for example in self.examples}
        return [example_of.get(sha256.decode()) for sha256 in self.predictions.sha256]


def read_judged_run(folder: Path, manifest: Manifest) -> JudgedRun:
    """Read it once, for the page and the pictures.

    Args:
        folder: of the run, complete but for its manifest.
        manifest: of it.

    Raises:
        UserError: a file of the run is damaged.
    """
    verdict = judge(manifest)
    return JudgedRun(
        folder=folder,
        manifest=manifest,
        verdict=verdict,
        predictions=read_predictions(folder, verdict.part),
        examples=tuple(read_split(folder, manifest.class_names)),
    )
