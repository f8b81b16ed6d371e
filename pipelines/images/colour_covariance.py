"""Measures how the colours of the training pixels vary together, for policies with a FancyPCA step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from pipelines.images.batches import pixel_batches
from pipelines.images.policy import Policy
from pipelines.runs.examples import Example
from pipelines.runs.square import Square

LAYER = "FancyPCA"
MOST_IMAGES = 500  # spread evenly over those that are given
# As large as in the paper; all of the image and no border, however the network sees it.
SQUARE = Square(size=256, fit="squash")
BATCH = 32
# (3, 3) covariance of red, green and blue, of pixels in [0, 1].
Covariance: TypeAlias = tuple[tuple[float, ...], ...]


def measured(policy: Policy, examples: Sequence[Example]) -> Policy:
    """A policy whose FancyPCA steps have the covariance of these images' pixels, where they do not state another.

    Args:
        policy: any; without such a step it is returned as it is, and no image is read.
        examples: the training images.
    """
    if not any(step.layer == LAYER and "covariance" not in step.arguments for step in policy.steps):
        return policy
    covariance = measure_covariance(examples)
    steps = [
        replace(step, arguments={"covariance": covariance, **step.arguments}) if step.layer == LAYER else step
        for step in policy.steps
    ]
    return replace(policy, steps=tuple(steps))


def measure_covariance(examples: Sequence[Example]) -> Covariance:
    """The covariance (3, 3) of red, green and blue over the pixels of at most `MOST_IMAGES` images, in [0, 1]."""
    places = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), MOST_IMAGES)).round().astype(int))
    total, products, count = np.zeros(3), np.zeros((3, 3)), 0
    for pixels, _ in pixel_batches([examples[place] for place in places], square=SQUARE, batch=BATCH):
        colours = np.asarray(pixels, np.float64).reshape(-1, 3) / 255
        total, products, count = total + colours.sum(0), products + colours.T @ colours, count + len(colours)
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    # Rounded, so that the key of cached views does not depend on how a machine sums.
    return tuple(tuple(float(value) for value in row) for row in covariance.round(5))
