"""The learning rate of each moment of a stage, as a factor on the stage's own. Pure."""

from __future__ import annotations

import math

from pipelines.specs import Recipe

FLOOR = 0.01  # of the rate, at the end of a cosine: the last steps still do something


def rate_factor(recipe: Recipe, moment: float, epochs: int, plateau: float = 1.0) -> float:
    """How much of the stage's learning rate holds at a moment.

    Args:
        recipe: with `schedule` and `warm_up`.
        moment: epochs done, with the part of the current one, in [0, epochs].
        epochs: of the whole stage.
        plateau: factor by which plateaus have lowered the rate so far; a cosine does not heed them.

    Returns:
        A factor in (0, 1]: rising in a straight line through the warm-up, then following half a cosine down, or what
        plateaus left.
    """
    warm = min(recipe.warm_up, epochs / 2)
    if moment < warm:
        return max(FLOOR, moment / warm)
    if recipe.schedule == "plateau":
        return plateau
    through = min(1.0, (moment - warm) / max(epochs - warm, 1e-9))
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * through))
