"""What each step of a policy does to a picture, measured, is what the step states: in both directions, as often."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import binomtest, kstest

from models.arrays import Pixels
from pipelines.images.augment import build_augmenter
from pipelines.images.policies import POLICIES
from pipelines.images.policy import Policy, PolicyStep

SIZE, DRAWS = 32, 300
# Grey and soft: no change of contrast, brightness or saturation below clips it.
GENERATOR = np.random.default_rng(0)
PICTURE: Pixels = GENERATOR.uniform(110, 145, (SIZE, SIZE, 3)).astype(np.float32)

STEPS = [(f"{name} {step.layer}", step) for name, policy in POLICIES.items() for step in policy.steps]


def views_of(step: PolicyStep, picture: Pixels = PICTURE) -> np.ndarray:
    """Many views (draws, height, width, 3) of a picture under one step alone."""
    augment = build_augmenter(Policy(name="one", steps=(step,)), size=picture.shape[0])
    views = tf.data.Dataset.range(1, DRAWS + 1).map(
        lambda view: augment(tf.constant(picture), tf.constant((5, -7), tf.int32), tf.cast(view, tf.int32))
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


@pytest.mark.parametrize(
    "step",
    [
        *(pytest.param(step, id=name) for name, step in STEPS if step.layer == "RandomHue"),
        pytest.param(PolicyStep(layer="RandomHue", arguments={"factor": 0.4}), id="far"),
    ],
)
def test_hues_turn_both_ways_by_half_the_stated_part_of_the_circle(step: PolicyStep) -> None:
    colour = np.array([200, 90, 30])
    hue, saturation, value = colorsys.rgb_to_hsv(*colour / 255)
    views = views_of(replace(step, probability=1.0), np.tile(colour.astype(np.float32), (4, 4, 1)))
    turned = np.asarray([colorsys.rgb_to_hsv(*view[0, 0].astype(float) / 255) for view in views])
    factor = step.arguments["factor"]
    turns = (turned[:, 0] - hue + 0.5) % 1 - 0.5
    # A turn to one side or the other, from 0 to half of the factor.
    assert kstest(turns, "uniform", args=(-factor / 2, factor)).pvalue > 1e-3
    assert np.abs(turns).max() <= factor / 2 + 1e-3
    np.testing.assert_allclose(turned[:, 1:], np.tile([saturation, value], (DRAWS, 1)), atol=2e-3)


@pytest.mark.parametrize("step", [pytest.param(step, id=name) for name, step in STEPS if step.probability < 1])
def test_a_step_is_taken_as_often_as_stated(step: PolicyStep) -> None:
    changed = int((np.abs(views_of(step) - PICTURE).max((1, 2, 3)) > 1e-3).sum())
    assert binomtest(changed, DRAWS, step.probability).pvalue > 1e-3, f"{changed} of {DRAWS}"
