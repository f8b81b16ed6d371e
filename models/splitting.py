"""Splits a backbone at a block boundary, and cuts a classifier below its last Dense layer."""

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
    """Split a backbone in two at the lower boundary of its top blocks.

    Args:
        model: as `build_backbone` returns it.
        blocks_from_top: the blocks above the boundary, as `models.blocks.find_lowest_trained` reads them; at least one
            block, and not all.

    Returns:
        `lower`: pixels -> activations at the boundary, one tensor (batch, ...); `upper`: activations -> features. Both
        share the model's layers, and `upper(lower(pixels))` equals `model(pixels)`. Where several tensors cross the
        boundary, as between the cells of NASNet, they are flattened and joined to one (batch, n).

    Raises:
        UserError: the block does not exist.
        ValueError: one side of the boundary is empty.
    """
    import keras

    crossing = _crossing(model, blocks_from_top)
    inside = keras.Model(crossing if len(crossing) > 1 else crossing[0], model.outputs[0], name="upper")
    if len(crossing) == 1:
        return keras.Model(model.inputs[0], crossing[0], name="lower"), inside
    packed = keras.layers.Concatenate(name="packed")([keras.layers.Flatten()(tensor) for tensor in crossing])
    lower = keras.Model(model.inputs[0], packed, name="lower")
    joined = keras.Input(packed.shape[1:], name="joined")
    start, tensors = 0, []
    for tensor in crossing:
        length = math.prod(tensor.shape[1:])
        tensors.append(keras.layers.Reshape(tensor.shape[1:])(joined[:, start : start + length]))
        start += length
    return lower, keras.Model(joined, inside(tensors), name="upper")


def boundary_layer(model: keras.Model, blocks_from_top: int | str) -> str:
    """Name the block whose output is the input of the top blocks.

    The name is the same in every process, so that activations can be cached under it. Names of Keras layers differ
    between processes: `add_11` counts the additions made before it, those of other networks too.

    Raises:
        UserError: the block does not exist.
        ValueError: one side of the boundary is empty.
    """
    names, first = _boundary(model, blocks_from_top)
    return names[first - 1]


def _boundary(model: keras.Model, blocks_from_top: int | str) -> tuple[list[str], int]:
    """Return the names of the blocks, and the index of the lowest one above the boundary."""
    names = [name for name, _ in divide_into_blocks(model)]
    first = find_lowest_trained(names, blocks_from_top)
    if first in (0, len(names)):
        raise ValueError(f"{blocks_from_top!r} of {len(names)} blocks leaves one side of the boundary empty")
    return names, first


def _crossing(model: keras.Model, blocks_from_top: int | str) -> list[keras.KerasTensor]:
    """List the tensors that cross the boundary, in the order of the operations that produce them."""
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
        file: its file, for error messages.

    Returns:
        A model named `backbone` from the same input to the input of the Dense layer. It shares the layers.

    Raises:
        UserError: the model has no graph, several inputs or outputs, or does not end in a Dense layer (activations,
            dropout, reshaping may follow it).
    """
    import keras

    if not getattr(model, "inputs", None) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"`{file}` is not a model with one input and one output", "save a Functional or Sequential model"
        )
    features = _input_of_last_dense(model.outputs[0])
    if features is None:
        raise UserError(
            f"`{file}` does not end in a Dense layer, so headstart cannot separate its features from its classes",
            "save the model with a Dense layer on top of its features",
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
