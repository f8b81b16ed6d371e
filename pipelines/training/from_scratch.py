"""Training every layer from random weights: in the way of the network's own time, block by block first if wanted."""

from __future__ import annotations

from dataclasses import replace

import keras

from models import googlenet
from models.blocks import blocks
from models.classifier import pool
from models.errors import UserError
from models.heads import HEADS, build_head
from models.surgery import split_at
from models.zoo import Backbone
from pipelines.fitting.checkpoint import StageProgress
from pipelines.fitting.network import fit_network
from pipelines.runs.spec import Stage, TrainSpec
from pipelines.training.head_stage import on_pixels, recipe_of
from pipelines.training.inputs import pixels_of
from pipelines.training.plan import NETWORK_EPOCHS, TrainingPlan, TrainingResult, stages_of


def from_scratch(work: TrainingPlan) -> TrainingResult:
    """Train every layer from random weights."""
    backbone = work.source.build(work.spec.image_size)
    work.reporter.note(f"training all layers of {work.source.name} from scratch: there are no pretrained weights in it")
    work = replace(work, spec=in_its_way(work.spec, work.source.backbone))

    def prepare(model: keras.Model) -> tuple[keras.Model, list[tuple[Stage, StageProgress]]]:
        return with_auxiliaries(work, model), layer_wise(work, model) if work.spec.layerwise else []

    return on_pixels(work, stages_of(work.spec, untrained=True)[0], backbone, prepare=prepare)


def in_its_way(spec: TrainSpec, backbone: Backbone | None) -> TrainSpec:
    """A spec with what the user left open filled in by the recipe of the network, where it has one."""
    recipe = backbone.recipe if backbone else None
    if recipe is None:
        return spec
    return replace(
        spec,
        optimizer=spec.optimizer or recipe.optimizer,
        learning_rate=spec.learning_rate or recipe.learning_rate,
        batch=spec.batch or recipe.batch_size,
        weight_decay=recipe.weight_decay if spec.weight_decay is None else spec.weight_decay,
        dropout=recipe.head_dropout or None if spec.dropout is None else spec.dropout,
    )


def layer_wise(work: TrainingPlan, model: keras.Model) -> list[tuple[Stage, StageProgress]]:
    """Greedy layer-wise training (Bengio et al., 2007): each block learns under a head of its own, then stays as it is.

    Args:
        work: the training.
        model: the whole classifier; the blocks of its backbone are left as the stages trained them.

    Returns:
        The stages, the lowest block first.

    Raises:
        UserError: more than one tensor passes between its blocks.
    """
    backbone = model.get_layer("backbone")
    names = [block.name for block in blocks(backbone)]
    lowers = [split_at(backbone, len(names) - place)[0] for place in range(1, len(names))]
    if any(lower.layers[-1].name == "packed" for lower in lowers):
        raise UserError(
            f"`{work.source.name}` cannot learn layer by layer: its blocks do not follow one another in a single line",
            "leave --layerwise away, or take one of the classics, such as alexnet",
        )
    tensors = [backbone.inputs[0], *(lower.outputs[0] for lower in lowers), backbone.outputs[0]]
    train, validation = pixels_of(work, int(model.input_shape[1]))
    epochs = max(1, (work.spec.epochs or NETWORK_EPOCHS) // len(names))
    found = []
    for place, name in enumerate(names):
        rate = stages_of(work.spec, untrained=True)[0].learning_rate
        stage = Stage(name="layer-wise", unfreeze=name, epochs=epochs, learning_rate=rate)
        block = keras.Model(tensors[place], tensors[place + 1], name=f"only_{name}")
        below = keras.Input(block.input_shape[1:], name="below")
        x = pool(block(below), "avg")
        head = build_head(
            HEADS["linear"], num_features=int(x.shape[-1]), num_classes=len(work.dataset.class_names), dropout=0.0
        )
        progress = fit_network(
            keras.Model(below, head(x)),
            stage,
            recipe_of(work.spec),
            train=train,
            validation=validation,
            num_images=len(work.dataset.part("train")),
            state=work.state,
            reporter=work.reporter,
            trunk=keras.Model(backbone.inputs[0], tensors[place], name="below") if place else None,
        )
        found.append((stage, progress))
    return found


def with_auxiliaries(work: TrainingPlan, model: keras.Model) -> keras.Model:
    """The classifier as it is trained: GoogLeNet has auxiliary classifiers then."""
    record = work.source.backbone
    if record is None or record.constructor != "googlenet":
        return model
    return googlenet.with_auxiliaries(model)[0]
