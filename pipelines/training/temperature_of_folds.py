"""Calibrates a head by predictions out of fold, which judge it as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.calibration import apply_temperature, fit_temperature

if TYPE_CHECKING:
    from models.arrays import Labels, Probabilities
    from pipelines.fitting.penalty_path import Division


def fit_temperature_of_folds(probabilities: Probabilities, labels: Labels, division: Division) -> float | None:
    """The temperature that suits images which heads were not fitted to; None where none helps.

    Args:
        probabilities: (images, classes), out of fold where a fold holds the image out.
        labels: (images,) class indices.
        division: into folds.
    """
    if not division.num_folds:
        return None
    return fit_temperature(probabilities[division.is_held_out], labels[division.is_held_out])


def calibrate_by_folds(
    probabilities: Probabilities, labels: Labels, division: Division, temperature: float | None
) -> Probabilities:
    """Probabilities (images, classes) at a temperature to which the image's own fold did not contribute.

    Args:
        probabilities: (images, classes), out of fold where a fold holds the image out.
        labels: (images,) class indices.
        division: into folds.
        temperature: of all folds; that of images which no fold holds out. None changes nothing.
    """
    if temperature is None:
        return probabilities
    scaled = apply_temperature(probabilities, temperature).astype(np.float32)
    for fold in range(division.num_folds):
        is_fold = division.fold_of == fold
        others = division.is_held_out & ~is_fold
        of_others = fit_temperature(probabilities[others], labels[others]) or 1.0
        scaled[is_fold] = apply_temperature(probabilities[is_fold], of_others)
    return scaled
