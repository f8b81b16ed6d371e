"""Tells what the scores of a part stand on: whether its images chose anything, and which model predicted them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pipelines.runs.examples import Split
from pipelines.runs.manifest import Manifest

Basis: TypeAlias = Literal["test", "out of fold", "given", "chose the head", "chose the model"]


def basis_of(manifest: Manifest, part: Split) -> Basis:
    """What the scores of a part of a run stand on.

    Args:
        manifest: of a single model or an ensemble.
        part: that has scores.

    Returns:
        `test`: images that chose nothing. `out of fold`: all images but those of the test part, each predicted by a
        head that was not fitted to it. `given`: a validation part of the user's own, predicted by a head of the
        training images; folds chose it. `chose the head`: the same, and it had the last word. `chose the model`: a
        validation part that chose a head, an epoch, weights, or whether a fine-tuned model is kept.
    """
    record = manifest.cross_validation
    if part == "test":
        return "test"
    # A fine-tuned model that is kept is judged by the validation part, whatever chose the head that it began with.
    if record is None or any(stage.kept for stage in manifest.stages):
        return "chose the model"
    if not record.validation_loss:
        return "out of fold"
    return "given" if record.decider == "folds" else "chose the head"


def is_out_of_fold(manifest: Manifest) -> bool:
    """Whether the scores of the validation part are of predictions out of fold."""
    return basis_of(manifest, "validation") == "out of fold"
