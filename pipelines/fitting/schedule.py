"""Decides how fast a network learns at every step, and when a stage stops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipelines.runs.stages import Recipe

if TYPE_CHECKING:
    from pipelines.fitting.checkpoint import StageProgress

LEAST_GAIN = 1e-4  # of the validation loss, nats, to count as better
LEAST_FACTOR = 1e-3  # of the first learning rate: below it, a plateau stops the stage
COSINE_FLOOR = 0.01  # of the learning rate at the end of a cosine, so that the last steps still change the weights


def rate_factor(recipe: Recipe, epochs_done: float, epochs: int, plateau_factor: float = 1.0) -> float:
    """The factor on a stage's learning rate at one moment.

    Args:
        recipe: with `schedule` and `warm_up`.
        epochs_done: with the fraction of the current epoch, in [0, epochs].
        epochs: of the whole stage.
        plateau_factor: factor by which plateaus have lowered the rate so far; a cosine ignores it.

    Returns:
        A factor in (0, 1]. It rises linearly during the warm-up; then it follows half a cosine (Loshchilov and Hutter,
        2017, arXiv:1608.03983, without restarts), or equals `plateau_factor`.
    """
    warm_up = min(recipe.warm_up, epochs / 2)
    if epochs_done < warm_up:
        return max(COSINE_FLOOR, epochs_done / warm_up)
    if recipe.schedule == "plateau":
        return plateau_factor
    done = min(1.0, (epochs_done - warm_up) / max(epochs - warm_up, 1e-9))
    return COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def count_epoch(progress: StageProgress, validation_loss: float, recipe: Recipe) -> bool:
    """Count one epoch, and lower the rate or stop the stage where the validation loss has not improved.

    Args:
        progress: of the stage; it is changed.
        validation_loss: of the epoch, nats; a loss that is not a number is never the best.
        recipe: with `schedule` and `patience`.

    Returns:
        Whether the epoch is the best so far.
    """
    progress.epoch += 1
    if validation_loss < progress.best_loss - LEAST_GAIN:
        progress.best_loss, progress.best_epoch = validation_loss, progress.epoch
        progress.epochs_since_best = progress.plateau_epochs = 0
        return True
    progress.epochs_since_best += 1
    progress.plateau_epochs += 1
    if recipe.schedule == "plateau" and progress.plateau_epochs >= max(2, recipe.patience // 2):
        progress.plateau_epochs = 0
        progress.plateau_factor /= 10
    progress.is_stopped = progress.epochs_since_best >= recipe.patience or progress.plateau_factor < LEAST_FACTOR
    return False
