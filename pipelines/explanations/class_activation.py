"""Class activation maps: the maps that the head is computed from, weighted by the gradient of a class's score.

A run whose head stands on one map has one such map. Where the head takes averages of several maps (`--features
levels`), of an image and its mirror image, or where members have their own, the map is the sum of all of them, each
weighted by its own gradient and brought to one grid. The gradient is that of the head alone: what a lower map adds
through the layers above it is counted there. So with a linear head on averages, the sum of the whole map is the score
less the head's bias, whatever the number of maps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from models.arrays import Tensor
from pipelines.explanations.network import Network, traced
from pipelines.explanations.records import Explain, Explained, Tap

# Activations and gradients (batch, h, w, channels) -> a map (batch, h, w).
Weigh: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def weigh_each_place(activations: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin 2020, equation 4): each activation times its own gradient."""
    return tf.reduce_sum(activations * gradients, -1)


def weigh_each_channel(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) before its ReLU: times the mean gradient of its channel."""
    return tf.reduce_sum(activations * tf.reduce_mean(gradients, (1, 2), keepdims=True), -1)


def class_activation_map(network: Network, weigh: Weigh) -> Explain:
    """Build the function that maps a batch; one traced pass gives predictions and maps."""

    @traced(network)
    def explain(pixels: Tensor, wanted: Tensor) -> tuple[Tensor, ...]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            result = network.run(pixels, watch=tape.watch)
            classes, scores = choose(result.probabilities, result.scores, wanted)
        values = [tap.values for tap in result.taps]
        gradients = tape.gradient(scores, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        maps = [
            on_square(
                Tap(weigh(tf.cast(value, tf.float32), tf.cast(gradient, tf.float32)), tap.is_mirrored), network.size
            )
            for tap, value, gradient in zip(result.taps, values, gradients, strict=True)
        ]
        return result.probabilities, classes, scores, tf.add_n(maps)

    def explained(pixels: Tensor, wanted: Tensor) -> Explained:
        probabilities, classes, scores, maps = map(np.asarray, explain(pixels, wanted))
        return Explained(probabilities=probabilities, classes=classes, scores=scores, maps=maps)

    return explained


def choose(probabilities: Tensor, scores: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The class explained (batch,) int32, the predicted one where -1 is wanted, and its score (batch,)."""
    predicted = tf.argmax(probabilities, -1, output_type=tf.int32)
    classes = tf.where(wanted < 0, predicted, wanted)
    return classes, tf.gather(scores, classes, batch_dims=1)


def on_square(tap: Tap, size: int) -> Tensor:
    """Bring a map (batch, h, w) to the square (batch, size, size), so that its sum stays.

    A mirror image's map is turned back and added. Between its places a map is interpolated bilinearly.
    """
    values = tap.values
    if tap.is_mirrored:
        of_image, of_mirror = tf.split(values, 2)
        values = of_image + of_mirror[:, :, ::-1]
    area = int(values.shape[1]) * int(values.shape[2]) / size**2
    return area * tf.image.resize(values[..., tf.newaxis], (size, size))[..., 0]
