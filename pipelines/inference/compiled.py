"""A run's model as a function of pixels: as it was saved, or, for many pictures, as a graph that runs faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.inference.test_time import averaged, build_views
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
# Pixels (images, size, size, 3) float32 in [0, 255] -> probabilities (images, classes); of an ensemble these and its
# members' (images, members, classes).
Call = Callable[[Floats], ArrayLike | tuple[ArrayLike, ArrayLike]]
# How far a probability may lie from the saved model's: rounding of another order of sums stays below 1e-5.
TOLERANCE = 1e-4


def plain_call(model: keras.Model, tta: str | None, *, members: bool) -> Call:
    """The model as it was saved.

    Args:
        model: pixels -> probabilities.
        tta: views to average over; None for the image as it is.
        members: whether it is an ensemble, whose members' answers come with its own.
    """
    import tensorflow as tf

    if members:
        model = _with_members(model)

    def plain(pixels: Any) -> Any:
        return model(pixels, training=False)

    size = int(model.input_shape[1])
    call = tf.function(
        plain if tta is None else averaged(plain, build_views(tta, size=size)),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)],
    )
    return lambda pixels: tf.nest.map_structure(np.asarray, call(pixels))


def folded_call(model: keras.Model, plain: Call, *, members: bool, batch: int, reporter: Reporter) -> Call:
    """The model as a float32 graph with its normalisation folded into its convolutions: up to twice as fast.

    Building it takes seconds. Always this one form, not the fastest of several: the same picture gets the same answer
    on another day. The first batch is held to the saved model, which is used where the graph says something else or
    cannot be made.

    Args:
        model: pixels -> probabilities.
        plain: the same as `plain_call` gives it.
        members: as there.
        batch: most images a call.
        reporter: told when the graph is not used.
    """
    from models.engines.graph import function_of
    from models.engines.source import TracedBase
    from models.engines.trials import filled

    num_classes = int(model.output_shape[-1])
    try:
        run = function_of(TracedBase(_in_one_row(model) if members else model, (batch, *model.input_shape[1:])).graph)
    except Exception as error:  # Whatever a converter raises for a network it does not know.
        reporter.note(f"plain Keras answers: no faster graph of this model can be made ({type(error).__name__})")
        return plain

    def fast(pixels: Floats) -> Any:
        rows = run(filled(pixels, batch))[: len(pixels)]
        if not members:
            return rows
        return rows[:, :num_classes], rows[:, num_classes:].reshape(len(rows), -1, num_classes)

    chosen: Call | None = None

    def call(pixels: Floats) -> Any:
        nonlocal chosen
        if chosen is None:
            right, found = plain(pixels), fast(pixels)
            difference = float(np.abs(_first(found) - _first(right)).max())
            chosen = fast if difference < TOLERANCE else plain
            if chosen is plain:
                reporter.note(f"plain Keras answers: the faster graph's probabilities differ by {difference:.1e}")
                return right
            return found
        return chosen(pixels)

    return call


def _with_members(model: keras.Model) -> keras.Model:
    import keras

    return keras.Model(model.inputs[0], (model.outputs[0], model.get_layer("members").output))


def _in_one_row(model: keras.Model) -> keras.Model:
    """The ensemble's answer and its members', side by side: (images, (1 + members) * classes)."""
    import keras

    answer, each = _with_members(model).outputs
    return keras.Model(model.inputs[0], keras.ops.concatenate([answer, keras.ops.reshape(each, (-1, _flat(each)))], 1))


def _flat(tensor: keras.KerasTensor) -> int:
    return int(np.prod(tensor.shape[1:]))


def _first(said: Any) -> Floats:
    return np.asarray(said[0] if isinstance(said, tuple) else said, np.float32)
