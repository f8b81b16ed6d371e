"""Boosting by three and more members (Drucker et al. 1993): weights the training images for the next member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Weights

# Share of the next member's training that the hard images make, as many as there are.
HARD_SHARE = 0.5


class BoostingEnds(Exception):
    """No image is hard for the members so far: another would be trained on nothing new.

    Attributes:
        num_members: how many there are.
    """

    def __init__(self, reason: str, num_members: int) -> None:
        super().__init__(reason)
        self.num_members = num_members


def weigh_images(predicted: Sequence[ArrayLike], labels: ArrayLike) -> Weights:
    """Weight the training images for the member after some others.

    Drucker, Schapire, Simard, "Boosting Performance in Neural Networks" (1993), as in the boosted LeNet-4 of LeCun et
    al. (1998): the first member learns from all images alike; half of what the second sees is what the first gets
    wrong; the third sees what the first two disagree on, and their outputs are added. There, every member is asked
    about images that are new to it, which deformations supply without end. Here the images are finite: the answers are
    out-of-fold predictions, and the images that members disagree on make half of the third member's training, for on
    those alone, a few in a hundred, it learns little. A fourth member goes by what any of the first three disagree on.

    Args:
        predicted: for each member so far, the class (images,) that it predicts out of fold.
        labels: (images,) true classes.

    Returns:
        (images,) of mean 1: how often each image is seen in an epoch.

    Raises:
        BoostingEnds: the first member gets no image wrong, or the members disagree on none.
    """
    truth = np.asarray(labels)
    if not predicted:
        return np.ones(len(truth), np.float32)
    first, *others = (np.asarray(classes) for classes in predicted)
    is_hard = np.any([classes != first for classes in others], axis=0) if others else first != truth
    num_hard = int(is_hard.sum())
    if not num_hard:
        reason = "they agree on every training image" if others else "it predicts every training image correctly"
        raise BoostingEnds(f"{reason}, out of fold", len(predicted))
    if num_hard == len(truth):
        return np.ones(len(truth), np.float32)
    shares = np.where(is_hard, HARD_SHARE / num_hard, (1 - HARD_SHARE) / (len(truth) - num_hard))
    return (shares * len(truth)).astype(np.float32)
