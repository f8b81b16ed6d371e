"""Draws the picture of a training into its run."""

from __future__ import annotations

from pathlib import Path

from pipelines.system.text import counted
from pipelines.training.curves import PICTURE, Caption, draw_curves, draw_penalties
from pipelines.training.plan import TrainingPlan, TrainingResult


def draw_training(plan: TrainingPlan, result: TrainingResult) -> None:
    """Draw the epochs of a training, or the penalties of its head where that was solved, into the run's folder."""
    spec, chosen = plan.spec, result.cross_validation
    title = (
        f"{Path(plan.names.source.name).name}, {plan.names.head.name} head, "
        f"{counted(len(plan.dataset.part('train')), 'training image')} of {Path(spec.data.path).name}"
    )
    path, num_validation = plan.folder / PICTURE, len(plan.dataset.part("validation"))
    if result.history:
        draw_curves(result.history, result.stages, path, Caption(title=title, num_judged=num_validation))
        return
    judged = "validation" if chosen is None else "out of fold"
    num_judged = num_validation if chosen is None else chosen.held_out
    draw_penalties(result.bank, path, Caption(title=title, judged=judged, num_judged=num_judged))
