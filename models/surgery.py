"""Cutting functional models: what lies below a layer, what lies above a boundary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError

if TYPE_CHECKING:
    import keras


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
        history = tensor._keras_history
        sources = history.operation._inbound_nodes[history.node_index].input_tensors
        if len(sources) != 1:
            return None
        if isinstance(history.operation, keras.layers.Dense):
            return sources[0]
        if isinstance(history.operation, keras.Model):
            inner = _input_of_last_dense(history.operation.outputs[0])
            if inner is not None:
                return keras.Model(history.operation.inputs, inner)(sources[0])
        if getattr(history.operation, "weights", ()):
            return None
        tensor = sources[0]
