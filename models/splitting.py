"""Cutting functional models: what lies below a layer, what lies above a boundary."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from models.blocks import divide_into_blocks, find_lowest_trained
from models.errors import UserError
from models.keras_private import Operation, graph_inputs, producer, producer_inputs

if TYPE_CHECKING:
    import keras


def split_at(model: keras.Model, blocks_from_top: int | str) -> tuple[keras.Model, keras.Model]:
    """Cut a backbone in two at the boundary of its top blocks.

    Args:
        model: as `build_backbone` returns it.
        blocks_from_top: what is above the boundary; see `models.blocks.find_lowest_trained`. Neither nothing nor all of it.

    Returns:
        `lower`: pixels -> activations at the boundary, one tensor (batch, ...); `upper`: those -> features. Both share
        the model's layers, and `upper(lower(pixels))` is `model(pixels)`. Where several tensors cross the boundary,
        as between the cells of NASNet, they are flattened and joined to one (batch, n).

    Raises:
        UserError: there is no such block.
        ValueError: there is nothing on one side of the boundary.
    """
    import keras

    crossing = _crossing(model, blocks_from_top)
    inside = keras.Model(crossing if len(crossing) > 1 else crossing[0], model.outputs[0], name="upper")
    if len(crossing) == 1:
        return keras.Model(model.inputs[0], crossing[0], name="lower"), inside
    packed = keras.layers.Concatenate(name="packed")([keras.layers.Flatten()(tensor) for tensor in crossing])
    lower = keras.Model(model.inputs[0], packed, name="lower")
    joined = keras.Input(packed.shape[1:], name="joined")
    start, parts = 0, []
    for tensor in crossing:
        length = math.prod(tensor.shape[1:])
        parts.append(keras.layers.Reshape(tensor.shape[1:])(joined[:, start : start + length]))
        start += length
    return lower, keras.Model(joined, inside(parts), name="upper")


def boundary_layer(model: keras.Model, blocks_from_top: int | str) -> str:
    """Name the place that the top blocks take their input from: the block below them.

    The same for one network in every process, so that activations can be cached under it. The names of Keras' layers
    are not: `add_11` counts the additions made before it, of other networks too.

    Raises:
        UserError: there is no such block.
        ValueError: there is nothing on one side of the boundary.
    """
    names, first = _boundary(model, blocks_from_top)
    return names[first - 1]


def _boundary(model: keras.Model, blocks_from_top: int | str) -> tuple[list[str], int]:
    """The names of the blocks, and which is the lowest above the boundary."""
    names = [name for name, _ in divide_into_blocks(model)]
    first = find_lowest_trained(names, blocks_from_top)
    if first in (0, len(names)):
        raise ValueError(f"{blocks_from_top!r} of {len(names)} blocks leaves one side of the boundary empty")
    return names, first


def _crossing(model: keras.Model, blocks_from_top: int | str) -> list[keras.KerasTensor]:
    """The tensors that go from below the boundary to above it, in the order in which they are made."""
    _, first = _boundary(model, blocks_from_top)
    upper = {operation for _, members in divide_into_blocks(model)[first:] for operation in members}
    inputs = graph_inputs(model)
    crossing = {
        id(tensor): tensor
        for operation, tensors in inputs.items()
        if operation in upper
        for tensor in tensors
        if producer(tensor) not in upper
    }
    order: list[Operation] = list(inputs)
    return sorted(crossing.values(), key=lambda tensor: order.index(producer(tensor)))


def below_last_dense(model: keras.Model, file: Path) -> keras.Model:
    """Cut a classifier below its last Dense layer.

    Args:
        model: with one input and one output.
        file: where it came from, for the error.

    Returns:
        A model named `backbone` from the same input to what went into the Dense layer. The layers are shared.

    Raises:
        UserError: the model has no graph, several inputs or outputs, or does not end in a Dense layer (activations,
            dropout, reshaping may follow it).
    """
    import keras

    if not getattr(model, "inputs", None) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(f"`{file}` is no model with one input and one output", "save a Functional or Sequential model")
    features = _input_of_last_dense(model.outputs[0])
    if features is None:
        raise UserError(
            f"`{file}` does not end in a Dense layer, so its features cannot be told from its classes",
            "save the part that gives the features with a Dense layer on top",
        )
    return keras.Model(model.inputs[0], features, name="backbone")


def _input_of_last_dense(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    import keras

    while True:
        operation, sources = producer(tensor), producer_inputs(tensor)
        if len(sources) != 1:
            return None
        if isinstance(operation, keras.layers.Dense):
            return sources[0]
        if isinstance(operation, keras.Model):
            inner = _input_of_last_dense(operation.outputs[0])
            if inner is not None:
                return keras.Model(operation.inputs[0], inner)(sources[0])
        if getattr(operation, "weights", ()):
            return None
        tensor = sources[0]
