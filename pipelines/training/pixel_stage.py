"""Trains a network, or a head on a frozen base, on the images themselves, in fresh views every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.blocks import require_blocks
from models.classifier import build_classifier, build_feature_extractor, build_top
from models.freezing import freeze
from models.heads import build_head, dropout_of
from models.optimizer import MOMENTUM
from pipelines.evaluation.predictions import Predictions, predict_batches
from pipelines.fitting.network import NetworkFit, fit_network
from pipelines.images.batches import pixel_batches
from pipelines.runs.manifest import StageRecord
from pipelines.runs.stages import Recipe
from pipelines.training.inputs import pixels_of
from pipelines.training.plan import TrainingPlan, TrainingResult, list_stages
from pipelines.training.stage_recipe import recipe_of_network
from pipelines.training.tensorboard_events import watcher

if TYPE_CHECKING:
    from keras import Model

    from pipelines.fitting.checkpoint import StageProgress
    from pipelines.runs.examples import Split
    from pipelines.runs.spec import TrainSpec
    from pipelines.runs.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A classifier before it is trained on pixels.

    Attributes:
        model: what is trained; it shares its layers with the classifier.
        stages: that it has passed already, with their progress.
    """

    model: Model
    stages: list[tuple[Stage, StageProgress]] = field(default_factory=list)


def train_head_on_pixels(plan: TrainingPlan) -> TrainingResult:
    """Train one head with the frozen base in the loop: fresh views in every epoch, nothing cached."""
    backbone = plan.names.source.build(plan.spec.network.image_size)
    if plan.spec.fine_tune.blocks is not None:
        require_blocks(backbone, plan.spec.fine_tune.blocks)
    freeze(backbone)
    (stage, *_) = list_stages(plan.spec, is_untrained=False)
    return train_on_pixels(plan, stage, backbone, trunk=backbone)


def train_on_pixels(
    plan: TrainingPlan,
    stage: Stage,
    backbone: Model,
    *,
    trunk: Model | None = None,
    prepare: Callable[[Model], Prepared] | None = None,
) -> TrainingResult:
    """Train a new head on a backbone, alone or with it.

    Args:
        plan: of the training.
        stage: of the training.
        backbone: pixels -> features.
        trunk: the backbone, where it is frozen and the head alone is trained; None to train both.
        prepare: is given the classifier, and returns what is trained instead of it.
    """
    spec = plan.spec
    num_features = int(build_feature_extractor(backbone, pooling=spec.head.pooling).output_shape[-1])
    head = build_head(
        plan.names.head,
        num_features=num_features,
        num_classes=plan.num_classes,
        dropout=spec.head.dropout,
        seed=spec.fit.seed,
    )
    model = build_classifier(backbone, head, pooling=spec.head.pooling)
    size = int(model.input_shape[1])
    prepared = prepare(model) if prepare else Prepared(model=build_top(model) if trunk is not None else model)
    fit = NetworkFit(model=prepared.model, stage=stage, recipe=recipe_of(spec), data=pixels_of(plan, size), trunk=trunk)
    with watcher(plan.folder, tensorboard=spec.fine_tune.tensorboard) as watch:
        progress = fit_network(fit, state=plan.state, reporter=plan.reporter, watch=watch)
    return TrainingResult(
        model=model,
        predictions=predict_parts(plan, model, size),
        history=[record for _, earlier in prepared.stages for record in earlier.history] + progress.history,
        stages=[
            # Each block is trained under a head without dropout.
            *(describe_stage(plan, *earlier, recipe_of(spec), dropout=0.0) for earlier in prepared.stages),
            describe_stage(plan, stage, progress, fit.recipe, dropout=dropout_of(head)),
        ],
        backbone=plan.names.source.record(backbone),
    )


def recipe_of(spec: TrainSpec) -> Recipe:
    """How a network is trained in a stage that is not fine-tuning."""
    return Recipe(
        optimizer=spec.fit.rule,
        patience=spec.fit.patience,
        weight_decay=spec.fit.weight_decay,
        momentum=MOMENTUM if spec.fit.momentum is None else spec.fit.momentum,
        label_smoothing=spec.fine_tune.label_smoothing,
        ema=spec.fine_tune.ema,
        precision=spec.fit.precision,
    )


def predict_parts(
    plan: TrainingPlan, model: Model, size: int, *, parts: tuple[Split, ...] = ("validation", "test")
) -> dict[Split, Predictions]:
    """Predictions of a model on the images of some parts, where there are any."""
    judged = {part: examples for part in parts if (examples := plan.dataset.part(part))}
    predictions: dict[Split, Predictions] = {}
    with plan.reporter.task("scoring images", sum(map(len, judged.values()))) as task:
        for part, examples in judged.items():
            batches = pixel_batches(examples, square=plan.square(size), batch=plan.spec.fit.batch_size)
            predictions[part] = predict_batches(model, batches)
            task.advance(len(examples))
    return predictions


def describe_stage(
    plan: TrainingPlan,
    stage: Stage,
    progress: StageProgress,
    recipe: Recipe,
    *,
    dropout: float,
    views: int | None = None,
) -> StageRecord:
    """The record of a stage in run.json; arguments as of `recipe_of_network`."""
    return StageRecord(
        name=stage.label,
        unfreeze=stage.unfreeze,
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        # A stage without a finite loss has no best epoch either.
        validation_loss=round(progress.best_loss, 5) if math.isfinite(progress.best_loss) else None,
        seconds=round(sum(record.seconds or 0.0 for record in progress.history), 2),
        recipe=recipe_of_network(plan, stage, recipe, dropout=dropout, views=views),
    )
