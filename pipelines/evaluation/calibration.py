"""Temperature scaling: probabilities that are as sure as they are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.pools import FLOOR
from pipelines.evaluation.metrics import losses

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
TEMPERATURES = (0.05, 20.0)
FOLDS = 5


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> float | None:
    """The temperature with the least log-loss (Guo et al. 2017), or None where it does not help.

    On the images it is fitted on a temperature always helps. Whether it does is therefore asked of folds that it was
    not fitted on.

    Args:
        probabilities: (images, classes), pooled.
        labels: (images,) the right classes.
        seed: of the folds.
    """
    logs, truth = logarithm(np.asarray(probabilities, np.float64)), np.asarray(labels, np.intp)
    if len(truth) < 2 * FOLDS:
        return None
    folds = np.random.default_rng(seed).permutation(len(truth)) % FOLDS
    held_out = 0.0
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        found = best_temperature(logs[inside], truth[inside])
        held_out += losses(softmax(logs[outside] / found), truth[outside]).sum()
    if held_out >= losses(softmax(logs), truth).sum():
        return None
    return best_temperature(logs, truth)


def cooling(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The temperature with the least log-loss on these images, never below 1.

    Few images, all of them right, would ask for certainty.
    """
    logs = logarithm(np.asarray(probabilities, np.float64))
    return max(1.0, best_temperature(logs, np.asarray(labels, np.intp)))


def cooled(probabilities: ArrayLike, temperature: float) -> Floats:
    """Probabilities (images, classes) whose logits are divided by a temperature."""
    return softmax(logarithm(np.asarray(probabilities, np.float64)) / temperature)


def logarithm(probabilities: Floats) -> Floats:
    """Log-probabilities that stay finite, as `models.pools.logarithm` has them."""
    found: Floats = np.log(np.maximum(probabilities, FLOOR))
    return found


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits, along the last axis."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    found: Floats = raised / raised.sum(-1, keepdims=True)
    return found


def best_temperature(logs: Floats, labels: Ints) -> float:
    """The temperature with the least log-loss on these images, given log-probabilities (images, classes)."""
    from scipy.optimize import minimize_scalar

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda power: losses(softmax(logs / np.exp(power)), labels).mean(), bounds=(low, high), method="bounded"
    )
    return float(np.exp(found.x))
