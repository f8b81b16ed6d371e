"""Boosting of many classes: each member is weighted by its errors, and the next looks at what it got wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boost:
    """One step of boosting.

    Attributes:
        weight: of the member in the vote; 0 for one that is no better than chance, which is to be left out.
        images: (images,) weights for the next member, with sum 1.
        go_on: whether another member can be added: this one errs, and less than chance does.
    """

    weight: float
    images: Floats
    go_on: bool


def samme(images: ArrayLike, wrong: ArrayLike, num_classes: int) -> Boost:
    """Weigh a member and the images by its errors (SAMME: Zhu et al. 2009, doi:10.4310/SII.2009.v2.n3.a8).

    Args:
        images: (images,) weights that the member was trained with.
        wrong: (images,) whether it answers wrongly.
        num_classes: how many classes there are.
    """
    weights, errs = np.asarray(images, np.float64), np.asarray(wrong, bool)
    weights = weights / weights.sum()
    error = float(weights[errs].sum())
    if error <= 0:
        return Boost(weight=1.0, images=weights, go_on=False)
    if error >= 1 - 1 / num_classes:
        return Boost(weight=0.0, images=weights, go_on=False)
    weight = math.log((1 - error) / error) + math.log(num_classes - 1)
    raised = np.where(errs, weights * math.exp(weight), weights)
    return Boost(weight=weight, images=raised / raised.sum(), go_on=True)
