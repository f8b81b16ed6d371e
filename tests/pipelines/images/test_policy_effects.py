"""What each step of a policy does to a picture, measured, is what the step states: in both directions, as often."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import binomtest

from models.arrays import Pixels
from pipelines.images.augment import build_augmenter
from pipelines.images.policies import POLICIES
from pipelines.images.policy import Policy, PolicyStep

SIZE, DRAWS = 32, 300
# Grey and soft: no change of contrast, brightness or saturation below clips it.
GENERATOR = np.random.default_rng(0)
PICTURE: Pixels = GENERATOR.uniform(110, 145, (SIZE, SIZE, 3)).astype(np.float32)

STEPS = [(f"{name} {step.layer}", step) for name, policy in POLICIES.items() for step in policy.steps]


def views_of(step: PolicyStep) -> np.ndarray:
    """Many views (draws, height, width, 3) under one step alone."""
    augment = build_augmenter(Policy(name="one", steps=(step,)), size=SIZE)
    views = tf.data.Dataset.range(1, DRAWS + 1).map(
        lambda view: augment(tf.constant(PICTURE), tf.constant((5, -7), tf.int32), tf.cast(view, tf.int32))
    )
    return np.stack([np.asarray(view) for view in views])


def contrast(view: np.ndarray) -> float:
    return float(view.std() / PICTURE.std())


def brightness(view: np.ndarray) -> float:
    """The shift of the mean, as a share of the range of 255."""
    return float(view.mean() - PICTURE.mean()) / 255


def saturation(view: np.ndarray) -> float:
    """By how much the mean distance of the largest from the smallest channel, as a share of the largest, changes."""
    before, after = ((image.max(-1) - image.min(-1)) / image.max(-1) for image in (PICTURE, view))
    return float(after.mean() / before.mean())


def ends(step: PolicyStep) -> tuple[float, float]:
    """The least and the greatest effect that a step states."""
    factor = step.arguments["factor"]
    low, high = factor if isinstance(factor, tuple) else (factor, factor)
    assert isinstance(low, float) and isinstance(high, float)
    if step.layer == "RandomContrast":
        return 1 - low, 1 + high
    if step.layer == "RandomBrightness":
        return -low, high
    # RandomSaturation multiplies saturation by f / (1 - f).
    return low / (1 - low), high / (1 - high)


# Layer -> the measure of its effect, and that of no effect.
MEASURES: dict[str, tuple[Callable[[np.ndarray], float], float]] = {
    "RandomContrast": (contrast, 1.0),
    "RandomBrightness": (brightness, 0.0),
    "RandomSaturation": (saturation, 1.0),
}


@pytest.mark.parametrize("step", [pytest.param(step, id=name) for name, step in STEPS if step.layer in MEASURES])
def test_colours_change_in_both_directions_as_far_as_stated(step: PolicyStep) -> None:
    measure, no_effect = MEASURES[step.layer]
    low, high = ends(step)
    assert low < no_effect < high
    values = np.asarray([measure(view) for view in views_of(step)])
    span = high - low
    # The least and the greatest of 300 uniform draws lie within 5 % of the ends but for one case in a million.
    assert low - 0.02 * span <= values.min() < low + 0.05 * span
    assert high - 0.05 * span < values.max() <= high + 0.02 * span


@pytest.mark.parametrize("step", [pytest.param(step, id=name) for name, step in STEPS if step.probability < 1])
def test_a_step_is_taken_as_often_as_stated(step: PolicyStep) -> None:
    changed = int((np.abs(views_of(step) - PICTURE).max((1, 2, 3)) > 1e-3).sum())
    assert binomtest(changed, DRAWS, step.probability).pvalue > 1e-3, f"{changed} of {DRAWS}"
