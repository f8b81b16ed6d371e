"""Occlusion (Zeiler and Fergus 2014, section 4.2): how much the score falls when a part of the image is grey."""

from __future__ import annotations

from itertools import product

import numpy as np

from models.arrays import Tensor
from pipelines.explanations.class_activation import choose
from pipelines.explanations.network import Network, traced
from pipelines.explanations.records import Explain, Explained


def occlusion(network: Network, *, share: int, grey: float) -> Explain:
    """Build the function that maps a batch.

    A grey square moves over the image by half its side. The value of a pixel is the mean fall of the score over the
    squares that cover it.

    Args:
        network: to look into.
        share: the side of the square is the image's side divided by this.
        grey: level of the square, in [0, 255].
    """

    @traced(network)
    def scored(pixels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        result = network.run(pixels)
        return result.probabilities, *choose(result.probabilities, result.scores, wanted)

    side = max(1, round(network.size / share))

    def explained(pixels: Tensor, wanted: Tensor) -> Explained:
        pixels = np.asarray(pixels, np.float32)
        probabilities, classes, scores = map(np.asarray, scored(pixels, wanted))
        total, count = np.zeros(pixels.shape[:3]), np.zeros(pixels.shape[1:3])
        for top, left in product(list_starts(network.size, side), repeat=2):
            place = slice(top, top + side), slice(left, left + side)
            occluded = pixels.copy()
            occluded[:, *place] = grey
            fall = scores - np.asarray(scored(occluded, classes)[2])
            total[:, *place] += fall[:, np.newaxis, np.newaxis]
            count[*place] += 1
        maps = (total / count).astype(np.float32)
        return Explained(probabilities=probabilities, classes=classes, scores=scores, maps=maps)

    return explained


def list_starts(size: int, side: int) -> list[int]:
    """Where squares of a side begin on a line of `size` pixels: every half side, the last one at the end."""
    last = size - side
    return [*range(0, last, max(1, side // 2)), last]
