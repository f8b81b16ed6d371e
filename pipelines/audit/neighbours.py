"""Finds the nearest rows of each row by cosine, in blocks: exact, in a time that grows with the square of their number.

50,000 images with their fingerprints: see `tests/benchmarks/audit.py`. The memory is that of the rows.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Doubles, FeatureRows, Fingerprints, HalfRows, Indices
from pipelines.data.look_alikes import as_directions

BLOCK = 2048  # rows on both sides of the cosines that are in memory at once: 16 MB


def nearest(rows: FeatureRows | HalfRows | Fingerprints, count: int) -> tuple[Indices, Doubles]:
    """The nearest rows of each row.

    Args:
        rows: (images, features).
        count: of neighbours; fewer where there are fewer rows.

    Returns:
        (images, count) places, the nearest first, and their cosines; a row of zeros has the cosine 0 with all.
    """
    count = min(count, len(rows) - 1)
    places = np.zeros((len(rows), count), np.intp)
    cosines = np.full((len(rows), count), -2.0)
    for start in range(0, len(rows), BLOCK):
        block = as_directions(rows[start : start + BLOCK])
        best, best_places = cosines[start : start + BLOCK], places[start : start + BLOCK]
        for other in range(0, len(rows), BLOCK):
            of_block = block @ as_directions(rows[other : other + BLOCK]).T
            if other == start:
                np.fill_diagonal(of_block, -2.0)  # no row is its own neighbour
            near = np.argpartition(-of_block, min(count, of_block.shape[1]) - 1, axis=1)[:, :count]
            values = np.concatenate([best, np.take_along_axis(of_block, near, 1)], axis=1)
            candidates = np.concatenate([best_places, near + other], axis=1)
            order = np.argsort(-values, axis=1, kind="stable")[:, :count]
            best, best_places = np.take_along_axis(values, order, 1), np.take_along_axis(candidates, order, 1)
        cosines[start : start + BLOCK], places[start : start + BLOCK] = best, best_places
    return places, cosines
