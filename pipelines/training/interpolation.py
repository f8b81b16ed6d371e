"""Interpolates between the frozen and the fine-tuned weights of a network, and keeps the best share on validation.

The fine-tuned network knows the new images best, the frozen one still knows the million it was trained on; between them
often lies one that is better than both (WiSE-FT: Wortsman et al., CVPR 2022, arXiv:2109.01903, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.calibration import apply_temperature, fit_cooling
from pipelines.evaluation.metrics import losses

if TYPE_CHECKING:
    import keras

    from models.arrays import Weights
    from pipelines.evaluation.predictions import Predictions

# Of the way from the frozen to the fine-tuned weights.
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolation:
    """A network between the frozen and the fine-tuned one.

    Attributes:
        share: of the way to the fine-tuned one, in (0, 1].
        temperature: that suits the validation images best, at least 1.
        loss: log-loss on them at that temperature, nats.
    """

    share: float
    temperature: float
    loss: float


def choose_share(
    model: keras.Model, start: Sequence[Weights], tuned: Sequence[Weights], predict: Callable[[], Predictions]
) -> Interpolation:
    """Choose the share with the least calibrated log-loss on validation images.

    Args:
        model: what was trained; it is left with the interpolated weights.
        start: its weights before.
        tuned: its weights after.
        predict: probabilities (images, classes) of the model on the validation images, and labels (images,).
    """
    tried = []
    for share in SHARES:
        model.set_weights(interpolate(start, tuned, share))
        probabilities, labels = predict()
        if not np.isfinite(probabilities).all():
            continue
        temperature = fit_cooling(probabilities, labels)
        loss = float(losses(apply_temperature(probabilities, temperature), labels).mean())
        tried.append(Interpolation(share=share, temperature=temperature, loss=loss))
    best = min(tried, key=lambda one: one.loss)
    model.set_weights(interpolate(start, tuned, best.share))
    return best


def interpolate(start: Sequence[Weights], tuned: Sequence[Weights], share: float) -> list[Weights]:
    """Weights at a share of the way; 1 gives the tuned ones to the bit."""
    if share == 1.0:
        return list(tuned)
    return [first + np.float32(share) * (last - first) for first, last in zip(start, tuned, strict=True)]
