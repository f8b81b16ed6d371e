"""Compares the probabilities that a run states with those of its saved model, on a few images."""

from __future__ import annotations

import numpy as np

from models.arrays import Probabilities
from pipelines.runs.manifest import Agreement

NUM_IMAGES = 16


def spread_places(num_images: int) -> list[int]:
    """At most `NUM_IMAGES` indices of images, spread evenly."""
    return list(range(0, num_images, max(1, num_images // NUM_IMAGES)))[:NUM_IMAGES]


def measure_agreement(exact: Probabilities, stated: Probabilities) -> Agreement:
    """How far probabilities (images, classes) agree with those of the saved model."""
    return Agreement(
        images=len(exact),
        top1_agreement=float((exact.argmax(1) == stated.argmax(1)).mean()),
        max_difference=round(float(np.abs(exact - stated).max()), 5),
    )
