"""Trains every layer from random weights, by the network's published recipe, block by block first if asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import keras

from models import googlenet
from models.blocks import list_blocks
from models.classifier import pool_features
from models.errors import UserError
from models.heads import HEADS, build_head
from models.initialisation import initialise
from models.splitting import split_at
from pipelines.fitting.network import NetworkFit, fit_network
from pipelines.runs.stages import Stage
from pipelines.training.inputs import pixels_of
from pipelines.training.pixel_stage import Prepared, recipe_of, train_on_pixels
from pipelines.training.plan import NETWORK_EPOCHS, TrainingPlan, TrainingResult, list_stages

if TYPE_CHECKING:
    from models.zoo import Backbone
    from pipelines.fitting.checkpoint import StageProgress
    from pipelines.runs.spec import TrainSpec


def train_from_scratch(plan: TrainingPlan) -> TrainingResult:
    """Train every layer from random weights."""
    source = plan.names.source
    backbone = source.build(plan.spec.network.image_size)
    if plan.spec.fit.init is not None:
        initialise(backbone, plan.spec.fit.init, seed=plan.spec.fit.seed)
    plan.reporter.note(f"{source.name} has no pretrained weights; training all layers from scratch")
    plan = replace(plan, spec=with_published_recipe(plan.spec, source.backbone))
    notes = [line] if (line := unpublished_line(plan)) else []
    for line in notes:
        plan.reporter.note(line)

    def prepare(model: keras.Model) -> Prepared:
        trained = with_auxiliaries(plan, model)
        return Prepared(model=trained, stages=train_layerwise(plan, model) if plan.spec.fine_tune.layerwise else [])

    result = train_on_pixels(plan, list_stages(plan.spec, is_untrained=True)[0], backbone, prepare=prepare)
    return replace(result, notes=[*notes, *result.notes])


def unpublished_line(plan: TrainingPlan) -> str:
    """What the network's paper does to its images and this training does not, and how to ask for it; may be empty."""
    backbone = plan.names.source.backbone
    recipe = backbone.recipe if backbone else None
    if recipe is None or recipe.augment in ("none", plan.names.policy.name):
        return ""
    return (
        f"the images are not augmented as the paper does: --augment {recipe.augment} does that, and `evaluate --tta "
        f"{recipe.views}` averages its views"
    )


def with_published_recipe(spec: TrainSpec, backbone: Backbone | None) -> TrainSpec:
    """Fill in what the user left open with the published recipe of the network, where it has one."""
    recipe = backbone.recipe if backbone else None
    if recipe is None:
        return spec
    fit, head = spec.fit, spec.head
    return replace(
        spec,
        fit=replace(
            fit,
            optimizer=fit.optimizer or recipe.optimizer,
            learning_rate=fit.learning_rate or recipe.learning_rate,
            batch=fit.batch or recipe.batch_size,
            weight_decay=recipe.weight_decay if fit.weight_decay is None else fit.weight_decay,
        ),
        head=replace(head, dropout=recipe.head_dropout or None if head.dropout is None else head.dropout),
    )


def train_layerwise(plan: TrainingPlan, model: keras.Model) -> list[tuple[Stage, StageProgress]]:
    """Greedy layer-wise training (Bengio et al., 2007): each block is trained under its own head, then frozen.

    Args:
        plan: of the training.
        model: the whole classifier; the blocks of its backbone are left as the stages trained them.

    Returns:
        The stages, the lowest block first.

    Raises:
        UserError: more than one tensor passes between its blocks.
    """
    backbone = model.get_layer("backbone")
    names = [block.name for block in list_blocks(backbone)]
    tensors = _tensors_between(plan, backbone, len(names))
    data = pixels_of(plan, int(model.input_shape[1]))
    epochs = max(1, (plan.spec.fit.epochs or NETWORK_EPOCHS) // len(names))
    rate = list_stages(plan.spec, is_untrained=True)[0].learning_rate
    stages = []
    for place, name in enumerate(names):
        stage = Stage(name="layer-wise", unfreeze=name, epochs=epochs, learning_rate=rate)
        fit = NetworkFit(
            model=_block_under_head(tensors[place], tensors[place + 1], name, plan.num_classes),
            stage=stage,
            recipe=recipe_of(plan.spec),
            data=data,
            trunk=keras.Model(backbone.inputs[0], tensors[place], name="below") if place else None,
        )
        stages.append((stage, fit_network(fit, state=plan.state, reporter=plan.reporter)))
    return stages


def with_auxiliaries(plan: TrainingPlan, model: keras.Model) -> keras.Model:
    """The classifier as it is trained: GoogLeNet has auxiliary classifiers then."""
    backbone = plan.names.source.backbone
    if backbone is None or backbone.constructor != "googlenet":
        return model
    return googlenet.add_auxiliary_classifiers(model)[0]


def _tensors_between(plan: TrainingPlan, backbone: keras.Model, num_blocks: int) -> list[keras.KerasTensor]:
    """The input of each block in turn, and the output of the last."""
    lowers = [split_at(backbone, num_blocks - place)[0] for place in range(1, num_blocks)]
    if any(lower.layers[-1].name == "packed" for lower in lowers):
        raise UserError(
            f"`{plan.names.source.name}` cannot be trained layer by layer: its blocks do not form a single line",
            "omit --layerwise, or use one of the classics, such as alexnet",
        )
    return [backbone.inputs[0], *(lower.outputs[0] for lower in lowers), backbone.outputs[0]]


def _block_under_head(start: keras.KerasTensor, end: keras.KerasTensor, name: str, num_classes: int) -> keras.Model:
    block = keras.Model(start, end, name=f"only_{name}")
    below = keras.Input(block.input_shape[1:], name="below")
    features = pool_features(block(below), "avg")
    head = build_head(HEADS["linear"], num_features=int(features.shape[-1]), num_classes=num_classes, dropout=0.0)
    return keras.Model(below, head(features))
