"""Compiles a run's model for prediction: as saved or, for many images, as a graph that runs faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from models.arrays import Pixels, Probabilities, Tensor
from pipelines.inference.test_time import average_over, build_views
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

# Probabilities (images, classes); of an ensemble these and its members' (images, members, classes).
Outputs: TypeAlias = Probabilities | tuple[Probabilities, Probabilities]
# From pixels (images, size, size, 3) float32 in [0, 255], for any number of images up to a batch.
Predict: TypeAlias = Callable[[Pixels], Outputs]
# Greatest difference from the saved model's probabilities: another order of summation stays below 1e-5.
TOLERANCE = 1e-4


def compile_saved(model: keras.Model, tta: str | None, *, members: bool) -> Predict:
    """Compile the model as it was saved.

    Args:
        model: pixels -> probabilities.
        tta: views to average over; None for the images as they are.
        members: whether the model is an ensemble whose members' probabilities are outputs too.
    """
    import tensorflow as tf

    outputs = _with_members(model) if members else model

    def predict(pixels: Tensor) -> Tensor:
        return outputs(pixels, training=False)

    size = int(model.input_shape[1])
    function = tf.function(
        predict if tta is None else average_over(predict, build_views(tta, size=size)),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)],
    )
    return lambda pixels: tf.nest.map_structure(np.asarray, function(pixels))


def compile_folded(model: keras.Model, saved: Predict, *, members: bool, batch: int, reporter: Reporter) -> Predict:
    """Compile the model as a float32 graph with normalisation folded into convolutions: up to twice as fast.

    Compiling takes seconds. It is always this one form, not the fastest of several, so that an image gets the same
    probabilities on another day. The first batch is compared with the saved model, which is used where the graph
    differs or cannot be built.

    Args:
        model: pixels -> probabilities.
        saved: the same model by `compile_saved`.
        members: as for `compile_saved`.
        batch: most images of a call.
        reporter: notified when the graph is not used.
    """
    from models.engines.graph import function_of
    from models.engines.source import TracedBase
    from models.engines.trials import filled

    num_classes = int(model.output_shape[-1])
    try:
        flat = _concatenated(model) if members else model
        run = function_of(TracedBase(flat, (batch, *model.input_shape[1:])).graph)
    except Exception as error:  # A converter may raise anything for a network that it does not support.
        reporter.note(f"using plain Keras: no faster graph of this model can be built ({type(error).__name__})")
        return saved

    def folded(pixels: Pixels) -> Outputs:
        rows = run(filled(pixels, batch))[: len(pixels)]
        if not members:
            return rows
        return rows[:, :num_classes], rows[:, num_classes:].reshape(len(rows), -1, num_classes)

    chosen: Predict | None = None

    def predict(pixels: Pixels) -> Outputs:
        nonlocal chosen
        if chosen is not None:
            return chosen(pixels)
        expected, outputs = saved(pixels), folded(pixels)
        difference = float(np.abs(_probabilities(outputs) - _probabilities(expected)).max())
        if difference < TOLERANCE:
            chosen = folded
            return outputs
        reporter.note(f"using plain Keras: the faster graph's probabilities differ by {difference:.1e}")
        chosen = saved
        return expected

    return predict


def _with_members(ensemble: keras.Model) -> keras.Model:
    """Pixels -> probabilities (images, classes), and those of the members (images, members, classes)."""
    import keras

    return keras.Model(ensemble.inputs[0], (ensemble.outputs[0], ensemble.get_layer("members").output))


def _concatenated(ensemble: keras.Model) -> keras.Model:
    """The same in one output, side by side: (images, (1 + members) * classes)."""
    import keras

    probabilities, of_members = _with_members(ensemble).outputs
    num_columns = int(np.prod(of_members.shape[1:]))
    columns = keras.ops.reshape(of_members, (-1, num_columns))
    return keras.Model(ensemble.inputs[0], keras.ops.concatenate([probabilities, columns], 1))


def _probabilities(outputs: Outputs) -> Probabilities:
    """Those of the whole model, without its members'."""
    return np.asarray(outputs[0] if isinstance(outputs, tuple) else outputs, np.float32)
