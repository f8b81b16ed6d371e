"""Chooses the images that the page of a run shows: its worst mistakes, the least sure, the most typical."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Indices

if TYPE_CHECKING:
    from models.arrays import Labels, Probabilities

NUM_MISTAKES, NUM_UNSURE, NUM_TYPICAL = 24, 12, 3
TYPICAL_CLASSES = 12  # of more classes, those with the most images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenImages:
    """Places of images among those that judge a run.

    Attributes:
        mistakes: predicted wrong, the surest of a wrong class first.
        unsure: predicted right or wrong with the least probability of the answer, the least first; no mistake twice.
        typical: class -> those of its images that were given to it with the highest probability.
    """

    mistakes: Indices
    unsure: Indices
    typical: dict[int, Indices]


def choose_images(probabilities: Probabilities, labels: Labels) -> ChosenImages:
    """Choose the images that the page shows.

    Args:
        probabilities: (images, classes).
        labels: (images,) true classes.
    """
    answers, confidence = probabilities.argmax(1), probabilities.max(1)
    of_truth = probabilities[np.arange(len(labels)), labels]
    is_wrong = answers != labels
    # The difference, not the probability alone: 0.5 against 0.4 is less wrong than 0.5 against 0.01.
    mistakes = _greatest(np.where(is_wrong, confidence - of_truth, -1.0), int(is_wrong.sum()))[:NUM_MISTAKES]
    rest = np.setdiff1d(np.arange(len(labels)), mistakes)
    unsure = rest[_greatest(-confidence[rest], len(rest))][:NUM_UNSURE]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    shown = np.sort(_greatest(counts.astype(np.float64), int((counts > 0).sum()))[:TYPICAL_CLASSES])
    typical = {}
    for label in shown:
        own = np.flatnonzero((labels == label) & ~is_wrong)
        if len(own):
            typical[int(label)] = own[_greatest(of_truth[own], len(own))][:NUM_TYPICAL]
    return ChosenImages(mistakes=mistakes, unsure=unsure, typical=typical)


def _greatest(values: Probabilities, count: int) -> Indices:
    """Places of the greatest values, the greatest first; ties in their order."""
    return np.argsort(-values, kind="stable")[:count]
