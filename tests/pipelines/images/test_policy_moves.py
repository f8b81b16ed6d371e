"""How far each step of a policy turns, zooms, shifts and shears, read off a ramp, is what the step states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from pipelines.images.policy import PolicyStep
from tests.pipelines.images.layer_arguments import SIZE
from tests.pipelines.images.moves import RAMP, to_source
from tests.pipelines.images.test_policy_effects import DRAWS, STEPS, views_of

# Steps that no policy has but that policy files may.
MORE_STEPS = [
    ("zoom of height alone", PolicyStep(layer="RandomZoom", arguments={"height_factor": (-0.3, 0.2)})),
    (
        "zoom of both",
        PolicyStep(layer="RandomZoom", arguments={"height_factor": (-0.4, 0.1), "width_factor": (-0.2, 0.1)}),
    ),
    ("shift", PolicyStep(layer="RandomTranslation", arguments={"height_factor": 0.15, "width_factor": 0.1})),
    (
        "shift one way",
        PolicyStep(layer="RandomTranslation", arguments={"height_factor": (0.05, 0.2), "width_factor": (-0.2, 0.05)}),
    ),
]
MIDDLE = (SIZE - 1) / 2


def _cases(layer: str) -> list[pytest.ParameterSet]:
    return [pytest.param(step, id=name) for name, step in [*STEPS, *MORE_STEPS] if step.layer == layer]


def _matrices(step: PolicyStep) -> np.ndarray:
    """(draws, 2, 3): the maps to the source under a step that is always taken."""
    return np.stack([to_source(view) for view in views_of(replace(step, probability=1.0), RAMP)])


def _ends(value: object) -> tuple[float, float]:
    """A factor as a range; of one number, either way."""
    if isinstance(value, tuple):
        return float(value[0]), float(value[1])
    assert isinstance(value, float)
    return -value, value


def _assert_uniform(values: np.ndarray, ends: tuple[float, float]) -> None:
    """Uniform between the ends: which implies both signs, and that the ends are reached."""
    low, high = ends
    if low == high:
        np.testing.assert_allclose(values, low, atol=1e-4)
        return
    assert low - 1e-4 <= values.min() and values.max() <= high + 1e-4
    assert kstest(values, "uniform", args=(low, high - low)).pvalue > 1e-3


def _assert_middle_stays(matrices: np.ndarray) -> None:
    np.testing.assert_allclose(matrices @ [MIDDLE, MIDDLE, 1], np.full((DRAWS, 2), MIDDLE), atol=1e-2)


@pytest.mark.parametrize("step", _cases("RandomRotation"))
def test_a_turn_is_about_the_middle_and_a_fraction_of_a_full_one(step: PolicyStep) -> None:
    matrices = _matrices(step)
    turns = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]) / (2 * np.pi)
    _assert_uniform(turns, _ends(step.arguments["factor"]))
    _assert_middle_stays(matrices)
    # A turn alone: lengths and angles stay.
    linear = matrices[:, :, :2]
    np.testing.assert_allclose(linear @ linear.transpose(0, 2, 1), np.eye(2)[None].repeat(DRAWS, 0), atol=1e-3)


@pytest.mark.parametrize("step", _cases("RandomZoom"))
def test_a_zoom_is_about_the_middle_and_a_fraction_of_the_side(step: PolicyStep) -> None:
    matrices = _matrices(step)
    wide, high = matrices[:, 0, 0] - 1, matrices[:, 1, 1] - 1
    # Below 0 the view shows less of the image.
    _assert_uniform(high, _ends(step.arguments["height_factor"]))
    _assert_middle_stays(matrices)
    np.testing.assert_allclose(matrices[:, [0, 1], [1, 0]], 0, atol=1e-4)
    if "width_factor" in step.arguments:
        _assert_uniform(wide, _ends(step.arguments["width_factor"]))
        assert abs(np.corrcoef(wide, high)[0, 1]) < 0.25
    else:
        np.testing.assert_allclose(wide, high, atol=1e-4)


@pytest.mark.parametrize("step", _cases("RandomTranslation"))
def test_a_shift_is_a_fraction_of_the_side(step: PolicyStep) -> None:
    matrices = _matrices(step)
    np.testing.assert_allclose(matrices[:, :, :2], np.eye(2)[None].repeat(DRAWS, 0), atol=1e-4)
    # What lies at x in the source is found at x + shift.
    right, down = -matrices[:, 0, 2] / SIZE, -matrices[:, 1, 2] / SIZE
    _assert_uniform(right, _ends(step.arguments["width_factor"]))
    _assert_uniform(down, _ends(step.arguments["height_factor"]))
    if right.std() > 0 and down.std() > 0:
        assert abs(np.corrcoef(right, down)[0, 1]) < 0.25


@pytest.mark.parametrize("step", _cases("RandomShear"))
def test_a_shear_goes_both_ways_on_both_axes(step: PolicyStep) -> None:
    matrices = _matrices(step)
    np.testing.assert_allclose(matrices[:, [0, 1], [0, 1]], 1, atol=1e-4)
    x, y = matrices[:, 0, 1], matrices[:, 1, 0]
    _assert_uniform(x, _ends(step.arguments["x_factor"]))
    _assert_uniform(y, _ends(step.arguments["y_factor"]))
    assert binomtest(int((np.sign(x) == np.sign(y)).sum()), DRAWS, 0.5).pvalue > 1e-3


@pytest.mark.parametrize("step", _cases("RandomFlip"))
def test_a_flip_mirrors_left_and_right_half_of_the_time(step: PolicyStep) -> None:
    matrices = _matrices(step)
    is_flipped = matrices[:, 0, 0] < 0
    mirrored, same = np.array([[-1, 0, SIZE - 1], [0, 1, 0]]), np.array([[1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(matrices, np.where(is_flipped[:, None, None], mirrored, same), atol=1e-2)
    assert binomtest(int(is_flipped.sum()), DRAWS, 0.5).pvalue > 1e-3


@pytest.mark.parametrize("step", _cases("RandomResizedCrop"))
def test_a_crop_has_the_stated_area(step: PolicyStep) -> None:
    matrices = _matrices(step)
    low, high = _ends(step.arguments["area"])
    _assert_uniform(matrices[:, 0, 0] * matrices[:, 1, 1], (low, high))
    ratios = matrices[:, 0, 0] / matrices[:, 1, 1]
    assert 0.749 < ratios.min() < 0.85 and 1.17 < ratios.max() < 1.334
