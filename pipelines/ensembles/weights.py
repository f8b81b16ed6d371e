"""Fits how members are combined, on images that none of them was trained on, and pools their probabilities.

NumPy, SciPy and scikit-learn only: `models.ensemble.combine` builds the Keras model that gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from models.pools import POOLS, StackingRegression
from pipelines.ensembles.stacking import fit_stack
from pipelines.evaluation.calibration import apply_temperature, fit_temperature
from pipelines.evaluation.metrics import blocks

if TYPE_CHECKING:
    from models.arrays import Doubles
    from models.fusing import Columns
    from pipelines.ensembles.methods import Method


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnsembleWeights:
    """How members are combined; what `models.ensemble.combine` is called with.

    Attributes:
        pool: a key of `models.pools.POOLS`.
        weights: (members,) with sum 1; a member of weight 0 is left out.
        stack: a regression on the members' probabilities; None for most methods.
        temperature: of the pooled probabilities; None where it does not help.
        held_out: (images, classes) pooled probabilities of the images that `stack` was fitted on, each by a regression
            that was fitted without it, before the temperature; None for other methods.
        note: what was done otherwise than expected, for people.
    """

    pool: str
    weights: tuple[float, ...]
    stack: StackingRegression | None = None
    temperature: float | None = None
    held_out: Doubles | None = None
    note: str | None = None


def fit_weights(
    probabilities: ArrayLike,
    labels: ArrayLike,
    method: Method,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    calibrate: bool = True,
) -> EnsembleWeights:
    """Fit a method.

    Args:
        probabilities: (members, images, classes) on images that no member was trained on.
        labels: (images,) true classes.
        method: how to combine.
        groups: (images,) keys of `pipelines.data.groups`, which folds keep together; None for none.
        seed: of what is drawn.
        calibrate: whether a temperature is tried.

    Raises:
        UserError: the images do not suffice for the method.
    """
    members, truth = np.asarray(probabilities), np.asarray(labels, np.intp)
    stack = fit_stack(np.asarray(members, np.float64), truth, groups=groups, seed=seed) if method.is_stacked else None
    fitted = EnsembleWeights(
        pool=method.pool,
        weights=tuple(method.weigh(members, truth, seed).tolist()),
        stack=stack.regression if stack else None,
        held_out=stack.held_out if stack else None,
        note=stack.note if stack else None,
    )
    if not calibrate:
        return fitted
    return replace(fitted, temperature=fit_temperature(judged_probabilities(members, fitted), truth, seed=seed))


def judged_probabilities(probabilities: ArrayLike, ensemble: EnsembleWeights) -> Doubles:
    """Probabilities (images, classes) of the images that an ensemble was fitted on, to judge it by.

    Those of a stack are held out. The weights of other methods are few, and were fitted on the same images: they look
    a little better than they are.
    """
    if ensemble.held_out is None:
        return pool_probabilities(probabilities, ensemble)
    return _scaled(ensemble.held_out, ensemble.temperature)


def pool_probabilities(probabilities: ArrayLike, ensemble: EnsembleWeights) -> Doubles:
    """Probabilities (images, classes) of an ensemble, given those of its members (members, images, classes)."""
    members, weights = np.asarray(probabilities), np.asarray(ensemble.weights)
    _, num_images, num_classes = members.shape
    pooled = np.empty((num_images, num_classes), np.float64)
    for block in blocks(num_images, num_classes):
        rows = np.asarray(members[:, block], np.float64)
        pooled[block] = POOLS[ensemble.pool].arrays(rows, weights, ensemble.stack)
    return _scaled(pooled, ensemble.temperature)


def _scaled(pooled: Doubles, temperature: float | None) -> Doubles:
    return pooled if temperature is None else apply_temperature(pooled, temperature)


def disagreement(probabilities: Iterable[ArrayLike]) -> Doubles:
    """Share of the images for which two members predict different classes.

    Args:
        probabilities: (images, classes) of each member.

    Returns:
        (members, members), symmetric, with a zero diagonal.
    """
    predicted = np.stack([np.asarray(of_member).argmax(1) for of_member in probabilities])
    return np.asarray((predicted[:, None] != predicted[None]).mean(2), np.float64)


def align_columns(probabilities: ArrayLike, columns: Columns) -> Doubles:
    """Probabilities (images, classes of a member) as (images, classes of the ensemble); 0 for a class it lacks.

    Args:
        probabilities: (images, classes of the member).
        columns: the member's column of each class of the ensemble; None for a class that it does not know.
    """
    members_own = np.asarray(probabilities)
    if columns == tuple(range(members_own.shape[1])):
        return members_own
    aligned = np.zeros((len(members_own), len(columns)), members_own.dtype)
    known = [place for place, column in enumerate(columns) if column is not None]
    aligned[:, known] = members_own[:, [column for column in columns if column is not None]]
    return aligned
