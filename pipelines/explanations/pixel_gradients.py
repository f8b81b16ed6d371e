"""Gradients of a class's score with respect to pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from models.arrays import Tensor
from pipelines.explanations.class_activation import choose
from pipelines.explanations.network import Network, traced
from pipelines.explanations.records import Explain, Explained

# Pixels and classes -> probabilities (batch, classes), classes (batch,), their scores (batch,) and the gradient
# (batch, size, size, 3).
Gradient: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]


def pixel_gradient(network: Network, *, is_guided: bool = False) -> Gradient:
    """Build the function that takes the gradient of a score, per grey level of a pixel."""

    @traced(network)
    def gradient(pixels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            result = network.run(pixels, is_guided=is_guided)
            classes, scores = choose(result.probabilities, result.scores, wanted)
        return result.probabilities, classes, scores, tape.gradient(scores, pixels)

    return gradient


def saliency(network: Network, *, is_guided: bool = False) -> Explain:
    """Simonyan et al. 2014, section 3.1: the greatest absolute gradient over a pixel's colours.

    Args:
        network: to look into.
        is_guided: by guided backpropagation (Springenberg et al. 2015), which drops negative gradients at each ReLU.
    """
    gradient = pixel_gradient(network, is_guided=is_guided)

    def explained(pixels: Tensor, wanted: Tensor) -> Explained:
        probabilities, classes, scores, gradients = map(np.asarray, gradient(pixels, wanted))
        return Explained(probabilities=probabilities, classes=classes, scores=scores, maps=np.abs(gradients).max(-1))

    return explained
