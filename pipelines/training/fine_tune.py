"""Fine-tunes the top blocks under the trained head, and keeps the better of the two models on validation.

What stays frozen below them runs once: its activations are cached, and every epoch goes through the top blocks alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers
from rich.filesize import decimal

from models.blocks import divide_into_blocks, find_lowest_trained
from models.classifier import build_top
from models.freezing import freeze, set_trainable
from models.heads import dropout_of
from models.optimizer import learning_rate_factors
from models.splitting import boundary_layer, split_at
from pipelines.evaluation.calibration import calibrate
from pipelines.evaluation.comparison import compare_models, fine_tuning_lines
from pipelines.features.boundary import Boundary, activation_limit, boundary_batches, draw_epoch, flattened, make_room
from pipelines.features.cached import CLEAN, Views
from pipelines.features.extract import Extracted, extract
from pipelines.features.frozen_base import FrozenBase
from pipelines.fitting.network import Batches, FitData, NetworkFit, fit_network
from pipelines.images.readable import DECODE_VERSION
from pipelines.runs.examples import Split
from pipelines.training.curves import watcher
from pipelines.training.inputs import augmenter_of, pixels_of, views_of
from pipelines.training.pixel_stage import describe_stage, predict_parts, recipe_of
from pipelines.training.plan import TrainingPlan, TrainingResult, class_weights, list_stages

if TYPE_CHECKING:
    from pipelines.fitting.checkpoint import StageProgress
    from pipelines.runs.spec import TrainSpec
    from pipelines.runs.stages import Recipe, Stage

FITTED_PARTS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A classifier cut in two.

    Attributes:
        lower: what stays frozen: pixels -> activations at the boundary; None where nothing does.
        top: what is trained: from there to probabilities.
        factors: on the learning rate, one for each trainable variable of the top.
        trained: names of the backbone's blocks in it.
    """

    lower: keras.Model | None
    top: keras.Model
    factors: list[float]
    trained: tuple[str, ...]


def fine_tune(plan: TrainingPlan, frozen: TrainingResult) -> TrainingResult:
    """Train the top blocks and the head further, and keep the better of the two models on validation.

    Args:
        plan: of the training.
        frozen: the frozen backbone under a trained head. Its model is trained in place.

    Returns:
        The better one, with the history and the record of this stage.

    Raises:
        UserError: the backbone has no such blocks, or memory does not suffice for one image.
    """
    stage = list_stages(plan.spec, is_untrained=False)[1]
    model = frozen.model
    frozen_weights = [np.array(weight) for weight in model.get_weights()]

    # The activations at the boundary come from the cache, or every epoch runs through the whole network.
    cut = _cut(plan, model, stage.unfreeze)
    activations = _extract_activations(plan, frozen, cut.lower, stage.unfreeze) if cut.lower is not None else None
    if activations is None:
        progress = _fit(plan, cut, stage, pixels_of(plan, int(model.input_shape[1])), trunk=cut.lower)
    else:
        progress = _fit(plan, cut, stage, _data_of(plan, *activations), trunk=None)

    # Both models are compared at the temperature that suits validation best, so that a gain is not one of calibration.
    cool(model.get_layer("head"), progress.temperature)
    before = calibrate(frozen.predictions)
    after = predict_parts(plan, model, int(model.input_shape[1])) if progress.best_epoch else before
    compared = {
        part: compare_models(probabilities, before[part][0], labels, names=("fine-tuned", "frozen"), part=part)
        for part, (probabilities, labels) in after.items()
    }
    is_kept = bool(progress.best_epoch) and compared["validation"].first_is_better
    lines = fine_tuning_lines(compared, is_kept=is_kept)
    for line in lines:
        plan.reporter.note(line)
    recipe, dropout = _fine_tuning_recipe(plan.spec), dropout_of(model.get_layer("head"))
    views = None if activations is None else views_of(plan).count
    record = replace(
        describe_stage(plan, stage, progress, recipe, dropout=dropout, views=views),
        temperature=round(progress.temperature, 4),
        trained=cut.trained,
        kept=is_kept,
        compared=compared,
    )
    result = replace(
        frozen,
        notes=[*frozen.notes, *lines],
        history=[*frozen.history, *progress.history],
        stages=[*frozen.stages, record],
    )
    if not is_kept:
        model.set_weights(frozen_weights)
        freeze(model.get_layer("backbone"))
        return result
    # Its features are no longer those of the published weights: nothing cached under their hash holds.
    backbone = replace(frozen.backbone, weights_sha256=None, fine_tuned=cut.trained)
    return replace(result, predictions=after, backbone=backbone)


def cool(head: keras.Model, temperature: float) -> None:
    """Divide a head's logits by a temperature (Guo et al., 2017), inside its last layer."""
    last = head.get_layer("probabilities")
    last.set_weights([weight / temperature for weight in last.get_weights()])


def _fine_tuning_recipe(spec: TrainSpec) -> Recipe:
    """How a fine-tuning stage steps: a slow start, half a cosine down, and less from block to block."""
    return replace(
        recipe_of(spec),
        schedule="cosine",
        warm_up=spec.fine_tune.warm_up,
        layer_decay=spec.fine_tune.layer_decay,
        clip=spec.fine_tune.clip or None,
        calibrate=True,
    )


def _cut(plan: TrainingPlan, model: keras.Model, unfreeze: str) -> _Cut:
    """Unfreeze the top blocks, and cut the classifier below them."""
    backbone, options = model.get_layer("backbone"), plan.spec.fine_tune
    names = [name for name, _ in divide_into_blocks(backbone)]
    trained = tuple(names[find_lowest_trained(names, unfreeze) :])
    set_trainable(backbone, unfreeze, train_bn=options.train_bn)
    _hold_norms(model.get_layer("head"), train_bn=options.train_bn)
    lower: keras.Model | None
    if not trained:
        lower, top = backbone, build_top(model)
    elif len(trained) == len(names):
        lower, top = None, model
    else:
        lower, upper = split_at(backbone, unfreeze)
        top = build_top(model, upper)
    factors = learning_rate_factors(top, backbone, options.layer_decay)
    return _Cut(lower=lower, top=top, factors=factors, trained=trained)


def _hold_norms(head: keras.Model, *, train_bn: bool) -> None:
    """Let the head's BatchNormalization use the statistics of the cached features: batches are small from here."""
    for layer in head.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = train_bn


def _extract_activations(
    plan: TrainingPlan, frozen: TrainingResult, lower: keras.Model, unfreeze: str
) -> tuple[Extracted, Boundary] | None:
    """The activations at the boundary, computed where they are not cached; None where they cannot be."""
    spec, policy, reporter = plan.spec, plan.names.policy, plan.reporter
    weights_sha256 = frozen.backbone.weights_sha256
    if not spec.data.cache:
        return None
    if policy.mixup or policy.cutmix:
        reporter.note("fine-tuning: the policy mixes images, so every epoch runs through the whole network")
        return None
    if weights_sha256 is None:
        return None
    boundary = Boundary(
        backbone=plan.names.source.name,
        weights_sha256=weights_sha256,
        image_size=int(frozen.model.input_shape[1]),
        pooling="none",
        decode_version=DECODE_VERSION,
        fit=spec.network.fit,
        layer=boundary_layer(frozen.model.get_layer("backbone"), unfreeze),
        shape=tuple(int(side) for side in lower.output_shape[1:]),
    )
    views = views_of(plan)
    if not _make_room_for(plan, boundary, views):
        return None
    extracted = extract(
        {part: plan.dataset.part(part) for part in FITTED_PARTS},
        FrozenBase(key=boundary, build=lambda: flattened(lower), engine=spec.network.engine),
        views={"train": views, "validation": CLEAN},
        augmenter=augmenter_of(plan, boundary.image_size) if views.count > 1 else None,
        reporter=reporter,
    )
    reporter.note(extracted.line.replace("features:", "activations:"))
    return extracted, boundary


def _make_room_for(plan: TrainingPlan, boundary: Boundary, views: Views) -> bool:
    """Whether the activations fit the space that is kept for them; others are deleted where they must."""
    rows = len(plan.dataset.part("train")) * views.count + len(plan.dataset.part("validation"))
    needed, budget = rows * boundary.row_bytes, activation_limit()
    size = f"{rows:,} views x {decimal(boundary.row_bytes)} = {decimal(needed)}"
    if needed > budget:
        plan.reporter.note(
            f"fine-tuning: activations at `{boundary.layer}` would take {size}, more than the {decimal(budget)} "
            "kept for them: every epoch runs through the whole network"
        )
        return False
    plan.reporter.note(f"fine-tuning: activations at `{boundary.layer}`: {size}, at most {decimal(budget)}")
    make_room(boundary, needed, budget)
    return True


def _data_of(plan: TrainingPlan, extracted: Extracted, boundary: Boundary) -> FitData:
    """Batches of activations."""
    fit, train = plan.spec.fit, extracted.parts["train"]
    weights = class_weights(plan.dataset, fit.class_weights)

    def batches(epoch: int) -> Batches:
        order, views = draw_epoch(train, fit.seed, epoch)
        return boundary_batches(
            train, boundary.shape, batch=fit.batch_size, order=order, views=views, class_weights=weights
        )

    validation = boundary_batches(extracted.parts["validation"], boundary.shape, batch=fit.batch_size)
    return FitData(train=batches, validation=validation, num_images=len(train))


def _fit(plan: TrainingPlan, cut: _Cut, stage: Stage, data: FitData, *, trunk: keras.Model | None) -> StageProgress:
    fit = NetworkFit(
        model=cut.top, stage=stage, recipe=_fine_tuning_recipe(plan.spec), data=data, trunk=trunk, factors=cut.factors
    )
    with watcher(plan.folder, tensorboard=plan.spec.fine_tune.tensorboard) as watch:
        return fit_network(fit, state=plan.state, reporter=plan.reporter, watch=watch)
