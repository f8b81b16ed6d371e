"""Draws the pictures of a training into its run."""

from __future__ import annotations

from pathlib import Path

from models.errors import UserError
from pipelines.runs.examples import Example
from pipelines.runs.layout import AUGMENTATION_FILE
from pipelines.runs.square import Square
from pipelines.system.text import counted
from pipelines.training.curves import PICTURE, Caption, draw_curves, draw_penalties
from pipelines.training.plan import TrainingPlan, TrainingResult

PREVIEWED, PREVIEW_SIDE = 4, 112  # images whose views are shown, and the side of each in pixels


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


def draw_augmentation(plan: TrainingPlan) -> None:
    """Draw the views that the policy of a training makes of a few of its images into the run's folder.

    Nothing is drawn without a policy. The training does not fail where an image has changed since.
    """
    if not plan.names.policy.steps:
        return
    from pipelines.images.view_grid import draw_view_grid

    first: dict[int, Example] = {}
    for example in plan.dataset.part("train"):
        first.setdefault(example.label, example)
    examples = [first[label] for label in sorted(first)[:PREVIEWED]]
    try:
        draw_view_grid(
            plan.folder / AUGMENTATION_FILE,
            examples,
            [plan.dataset.class_names[example.label] for example in examples],
            policy=plan.names.policy,
            square=Square(size=PREVIEW_SIDE, fit=plan.spec.network.image_fit),
            seed=plan.spec.fit.seed,
            reporter=plan.reporter,
        )
    except UserError as error:
        plan.reporter.note(f"{AUGMENTATION_FILE} is not drawn: {error.message}")
