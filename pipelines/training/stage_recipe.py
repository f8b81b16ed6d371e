"""Describes the recipe that a stage was trained by: what the user left open is filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.optimizer import used_weight_decay
from models.precision import precision_of
from pipelines.fitting.bank_epochs import BATCH
from pipelines.fitting.head_progress import NUM_DIVISIONS, PLATEAU_EPOCHS
from pipelines.runs.training_records import StageRecipe
from pipelines.training.inputs import views_of

if TYPE_CHECKING:
    from pipelines.runs.stages import Recipe, Stage
    from pipelines.runs.training_records import HeadTrial
    from pipelines.training.plan import TrainingPlan


def recipe_of_network(
    plan: TrainingPlan, stage: Stage, recipe: Recipe, *, dropout: float, views: int | None = None
) -> StageRecipe:
    """The recipe of a stage that trains a network in steps.

    Args:
        plan: of the training.
        stage: of it.
        recipe: that its loop was given.
        dropout: of the head.
        views: of each image in the cache; None where every epoch draws fresh ones.
    """
    fit, policy = plan.spec.fit, plan.names.policy
    return StageRecipe(
        optimizer=recipe.optimizer,
        learning_rate=stage.learning_rate,
        schedule=recipe.schedule,
        epochs=stage.epochs,
        patience=recipe.patience,
        batch=fit.batch_size,
        weight_decay=used_weight_decay(recipe.optimizer, recipe.weight_decay),
        momentum=recipe.momentum if recipe.optimizer == "sgd" else None,
        dropout=dropout,
        warm_up=recipe.warm_up,
        layer_decay=recipe.layer_decay,
        clip=recipe.clip,
        label_smoothing=recipe.label_smoothing,
        ema=recipe.ema,
        precision=precision_of(recipe.precision),
        augment=policy.name,
        views=views,
        class_weights=fit.class_weights,
        seed=fit.seed,
    )


def recipe_of_solver(plan: TrainingPlan, l2: float, *, iterations: int) -> StageRecipe:
    """The recipe of a head that was solved on cached features, in at most so many iterations."""
    fit, views = plan.spec.fit, views_of(plan)
    return StageRecipe(
        optimizer="l-bfgs",
        learning_rate=None,
        schedule=None,
        epochs=iterations,
        patience=None,
        batch=None,
        weight_decay=0.0,
        l2=l2,
        dropout=0.0,
        precision="float32",
        augment=plan.names.policy.name,
        views=views.count,
        class_weights=fit.class_weights,
        seed=fit.seed,
    )


def recipe_of_bank(plan: TrainingPlan, stage: Stage, chosen: HeadTrial) -> StageRecipe:
    """The recipe of the head that was chosen from a bank on cached features."""
    fit, views = plan.spec.fit, views_of(plan)
    return StageRecipe(
        optimizer=fit.rule,
        learning_rate=chosen.learning_rate,
        schedule="plateau",
        epochs=stage.epochs,
        patience=PLATEAU_EPOCHS * (NUM_DIVISIONS + 1),
        batch=BATCH,
        weight_decay=used_weight_decay(fit.rule, None),
        l2=chosen.l2,
        dropout=chosen.dropout,
        precision="float32",
        augment=plan.names.policy.name,
        views=views.count,
        class_weights=fit.class_weights,
        seed=chosen.seed,
    )
