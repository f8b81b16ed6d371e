"""Temperature scaling (Guo et al. 2017): makes confidence match accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from models.arrays import Doubles, Indices
from models.pools import log_array
from pipelines.evaluation.metrics import losses

if TYPE_CHECKING:
    from pipelines.evaluation.predictions import Predictions
    from pipelines.runs.examples import Split

TEMPERATURES = (0.05, 20.0)
FOLDS = 5


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> float | None:
    """The temperature with the least log-loss (Guo et al. 2017, arXiv:1706.04599), or None where it does not help.

    On the images that it is fitted on, a temperature always helps. Cross-validation decides whether it helps on
    others.

    Args:
        probabilities: (images, classes), pooled.
        labels: (images,) true classes.
        seed: of the folds.
    """
    logs, classes = log_array(np.asarray(probabilities, np.float64)), np.asarray(labels, np.intp)
    if len(classes) < 2 * FOLDS:
        return None
    folds = np.random.default_rng(seed).permutation(len(classes)) % FOLDS
    held_out = 0.0
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        temperature = best_temperature(logs[inside], classes[inside])
        held_out += losses(softmax(logs[outside] / temperature, axis=-1), classes[outside]).sum()
    if held_out >= losses(softmax(logs, axis=-1), classes).sum():
        return None
    return best_temperature(logs, classes)


def fit_cooling(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The temperature with the least log-loss on these images, never below 1.

    Below 1, a few images that are all predicted correctly would drive the temperature to its bound.

    Args:
        probabilities: (images, classes).
        labels: (images,) true classes.
    """
    logs = log_array(np.asarray(probabilities, np.float64))
    return max(1.0, best_temperature(logs, np.asarray(labels, np.intp)))


def apply_temperature(probabilities: ArrayLike, temperature: float) -> Doubles:
    """Probabilities (images, classes) after dividing their logits by a temperature."""
    scaled: Doubles = softmax(log_array(np.asarray(probabilities, np.float64)) / temperature, axis=-1)
    return scaled


def calibrate(predictions: Mapping[Split, Predictions]) -> dict[Split, Predictions]:
    """A model's predictions, by part, at the temperature of `fit_cooling` for its validation predictions."""
    temperature = fit_cooling(*predictions["validation"])
    return {
        part: (apply_temperature(probabilities, temperature).astype(np.float32), labels)
        for part, (probabilities, labels) in predictions.items()
    }


def best_temperature(logs: Doubles, labels: Indices) -> float:
    """The temperature with the least log-loss, given log-probabilities (images, classes) and labels (images,)."""
    from scipy.optimize import minimize_scalar

    def mean_loss(log_temperature: float) -> float:
        return float(losses(softmax(logs / np.exp(log_temperature), axis=-1), labels).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(mean_loss, bounds=(low, high), method="bounded").x))
