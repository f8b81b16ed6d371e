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
    # Folds judged the head; fine-tuning is judged by the validation part.
    by_folds = chosen is not None and not any(stage.trained for stage in result.stages)
    judged, num_judged = ("out of fold", chosen.held_out) if chosen and by_folds else ("validation", num_validation)
    caption = Caption(title=title, judged=judged, num_judged=num_judged)
    if result.history:
        draw_curves(result.history, result.stages, path, caption)
    else:
        draw_penalties(result.bank, path, caption)
