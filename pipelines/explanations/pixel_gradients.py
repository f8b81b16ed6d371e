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


def smoothgrad(network: Network, *, samples: int, noise: float) -> Explain:
    """SmoothGrad (Smilkov et al. 2017): `saliency` of the mean gradient over noisy copies of an image.

    Args:
        network: to look into.
        samples: number of copies.
        noise: standard deviation of the Gaussian noise, as a share of the range of the image's pixels. It is the same
            noise for every image and run.
    """
    gradient = pixel_gradient(network)

    def explained(pixels: Tensor, wanted: Tensor) -> Explained:
        pixels = np.asarray(pixels, np.float32)
        probabilities, classes, scores, _ = map(np.asarray, gradient(pixels, wanted))
        deviation = noise * (pixels.max((1, 2, 3), keepdims=True) - pixels.min((1, 2, 3), keepdims=True))
        rng = np.random.default_rng(0)
        total = np.zeros(pixels.shape, np.float64)
        for _ in range(samples):
            noisy = pixels + deviation * rng.standard_normal(pixels.shape[1:], np.float32)
            total += np.asarray(gradient(noisy, classes)[3])
        maps = np.abs(total / samples).max(-1).astype(np.float32)
        return Explained(probabilities=probabilities, classes=classes, scores=scores, maps=maps)

    return explained


def integrated_gradients(network: Network, *, steps: int, baseline: float) -> Explain:
    """Integrated gradients (Sundararajan et al. 2017): the gradient's mean on the way from a grey image, times the way.

    The sum of a map is the score less that of the grey image, but for the error of the sum over steps, which is given
    as `completeness_error`, a share of that difference.

    Args:
        network: to look into.
        steps: of the midpoint rule.
        baseline: grey level in [0, 255] of the image that the way begins at.
    """
    gradient = pixel_gradient(network)

    def explained(pixels: Tensor, wanted: Tensor) -> Explained:
        pixels = np.asarray(pixels, np.float32)
        probabilities, classes, scores, _ = map(np.asarray, gradient(pixels, wanted))
        grey = np.full(pixels.shape, baseline, np.float32)
        of_grey = np.asarray(gradient(grey, classes)[2])
        total = np.zeros(pixels.shape, np.float64)
        for step in range(steps):
            total += np.asarray(gradient(grey + (step + 0.5) / steps * (pixels - grey), classes)[3])
        maps = (total / steps * (pixels - grey)).sum(-1)
        difference = scores - of_grey
        error = np.abs(maps.sum((1, 2)) - difference) / np.maximum(np.abs(difference), np.finfo(np.float32).tiny)
        details = {"baseline_score": of_grey, "completeness_error": error}
        maps = maps.astype(np.float32)
        return Explained(probabilities=probabilities, classes=classes, scores=scores, maps=maps, details=details)

    return explained
