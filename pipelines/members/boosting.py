"""Boosting of many classes (SAMME): weights a member by its errors, and the images for the next member."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoostingRound:
    """One round of boosting.

    Attributes:
        weight: of the member in the vote; 0 for one that is no better than chance, which is to be left out.
        image_weights: (images,) for the next member, with sum 1.
        continues: whether another member can be added: this one makes errors, and fewer than chance does.
    """

    weight: float
    image_weights: Doubles
    continues: bool


def boost(image_weights: ArrayLike, is_wrong: ArrayLike, num_classes: int) -> BoostingRound:
    """Weight a member and the images by its errors (SAMME: Zhu et al. 2009, doi:10.4310/SII.2009.v2.n3.a8).

    Args:
        image_weights: (images,) that the member was trained with.
        is_wrong: (images,) whether it predicts another class than the label.
        num_classes: how many classes there are.
    """
    weights, errors = np.asarray(image_weights, np.float64), np.asarray(is_wrong, bool)
    weights = weights / weights.sum()
    error = float(weights[errors].sum())
    if error <= 0:
        return BoostingRound(weight=1.0, image_weights=weights, continues=False)
    if error >= 1 - 1 / num_classes:
        return BoostingRound(weight=0.0, image_weights=weights, continues=False)
    weight = math.log((1 - error) / error) + math.log(num_classes - 1)
    raised = np.where(errors, weights * math.exp(weight), weights)
    return BoostingRound(weight=weight, image_weights=raised / raised.sum(), continues=True)
