"""Shows what a layer answers to an image: the mean absolute activation of each place, and its strongest channels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.arrays import Tensor
from pipelines.explanations.class_activation import choose, on_square
from pipelines.explanations.network import Network, traced
from pipelines.explanations.records import Explain, Explained, Tap


def layer_activations(network: Network, layer: str) -> Explain:
    """Build the function that maps a batch.

    Args:
        network: to look into.
        layer: path of the layer, from `Network.list_maps`.
    """

    @traced(network)
    def explain(pixels: Tensor, wanted: Tensor) -> tuple[Tensor, ...]:
        result = network.run(pixels, layer=layer)
        classes, scores = choose(result.probabilities, result.scores, wanted)
        assert result.layer is not None
        values = tf.cast(result.layer.values, tf.float32)
        places = on_square(Tap(tf.reduce_mean(tf.abs(values), -1), result.layer.is_mirrored), network.size)
        # Of a network that sees the mirror image too, the channels are those of the image itself.
        return result.probabilities, classes, scores, places, values[: tf.shape(pixels)[0]]

    def explained(pixels: Tensor, wanted: Tensor) -> Explained:
        probabilities, classes, scores, maps, channels = map(np.asarray, explain(pixels, wanted))
        return Explained(probabilities=probabilities, classes=classes, scores=scores, maps=maps, channels=channels)

    return explained
