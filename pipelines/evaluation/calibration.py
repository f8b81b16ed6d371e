"""Temperature scaling (Guo et al. 2017): makes confidence match accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from models.arrays import Doubles, Indices
from models.pools import log_array
from pipelines.evaluation.metrics import blocks, losses

if TYPE_CHECKING:
    from pipelines.evaluation.predictions import Predictions
    from pipelines.runs.examples import Split

TEMPERATURES = (0.05, 20.0)
# Standard deviation of the logarithm of a temperature before any image is seen: 95 % lie between 0.37 and 2.7. In
# simulations with 25 images, the log-loss beyond that of the true temperature falls from 0.101 to 0.010 nats where the
# model is calibrated (deviation 0.7: 0.017, 1: 0.027), and from 0.263 to 0.041 where the true temperature is 2.5 (0.7:
# 0.038, 1: 0.040). With the targets of Platt (1999), another prior for few images, it is 0.064 and 0.062.
PRIOR_DEVIATION = 0.5
FOLDS = 5
# Probabilities that a temperature is fitted to, at most: 134 MB, 1,677 images of 10,000 classes. 100 classes would need
# 167,000 images to be sampled.
SAMPLED = 2**24


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> float | None:
    """The temperature of `best_temperature` (Guo et al. 2017, arXiv:1706.04599), or None where it does not help.

    On the images that it is fitted on, a temperature hardly ever harms. Cross-validation decides whether it helps on
    others.

    Args:
        probabilities: (images, classes), pooled.
        labels: (images,) true classes.
        seed: of the folds.
    """
    if len(np.asarray(labels)) < 2 * FOLDS:
        return None
    logs, classes = _log_sample(probabilities, labels)
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
    """The temperature of `best_temperature`, never below 1.

    Below 1, the loss of an epoch whose few validation images are all predicted correctly would be near zero whatever
    the margin, and epochs could not be compared.

    Args:
        probabilities: (images, classes).
        labels: (images,) true classes.
    """
    return max(1.0, best_temperature(*_log_sample(probabilities, labels)))


def apply_temperature(probabilities: ArrayLike, temperature: float) -> Doubles:
    """Probabilities (images, classes) after dividing their logits by a temperature."""
    rows = np.asarray(probabilities)
    scaled = np.empty(rows.shape, np.float64)
    for block in blocks(*rows.shape):
        scaled[block] = softmax(log_array(np.asarray(rows[block], np.float64)) / temperature, axis=-1)
    return scaled


def _log_sample(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Doubles, Indices]:
    """Log-probabilities (images, classes) and labels (images,): of all images, or of a sample of very many.

    One number is fitted to them, which needs neither the time nor the memory that all images of thousands of classes
    take.
    """
    rows, classes = np.asarray(probabilities), np.asarray(labels, np.intp)
    most = max(1000, SAMPLED // rows.shape[1])
    if len(rows) > most:
        sample = np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))
        rows, classes = rows[sample], classes[sample]
    return log_array(np.asarray(rows, np.float64)), classes


def calibrate(predictions: Mapping[Split, Predictions]) -> dict[Split, Predictions]:
    """A model's predictions, by part, at the temperature of `fit_cooling` for its validation predictions."""
    temperature = fit_cooling(*predictions["validation"])
    return {
        part: (apply_temperature(probabilities, temperature).astype(np.float32), labels)
        for part, (probabilities, labels) in predictions.items()
    }


def best_temperature(logs: Doubles, labels: Indices) -> float:
    """The most probable temperature: that of least log-loss, drawn towards 1 where few images speak for another.

    A few images that are all predicted correctly would drive the temperature of least loss to zero, and one confident
    error among them far up. Its logarithm therefore has a Gaussian prior around 0, of deviation `PRIOR_DEVIATION`,
    which weighs as much as a handful of images: among thousands it moves the temperature by less than 1 %.

    Args:
        logs: (images, classes) log-probabilities.
        labels: (images,) true classes.
    """
    from scipy.optimize import minimize_scalar

    def negative_log_posterior(log_temperature: float) -> float:
        loss = losses(softmax(logs / np.exp(log_temperature), axis=-1), labels).sum()
        return float(loss + 0.5 * (log_temperature / PRIOR_DEVIATION) ** 2)

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(negative_log_posterior, bounds=(low, high), method="bounded").x))
