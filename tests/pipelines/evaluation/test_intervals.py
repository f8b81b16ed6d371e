"""Intervals equal their textbook formulas and SciPy's, and the paired bootstrap sees what unpaired intervals miss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from scipy.stats import binomtest

from pipelines.evaluation.intervals import over_folds, paired_bootstrap, percentile_interval, resamples, wilson


def wilson_by_hand(correct: int, count: int) -> tuple[float, float]:
    """Wilson (1927): the shares p0 with |p - p0| = z * sqrt(p0 * (1 - p0) / n)."""
    z = 1.959963984540054
    share = correct / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


SHARES = [(0, 10), (10, 10), (1, 3), (884, 1000), (50_000, 100_000), (0, 1), (1, 1)]


@pytest.mark.parametrize(("correct", "count"), SHARES)
def test_wilson_equals_scipys(correct: int, count: int) -> None:
    expected = binomtest(correct, count).proportion_ci(method="wilson")
    assert wilson(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("correct", "count"), SHARES)
def test_wilson_equals_the_formula(correct: int, count: int) -> None:
    assert wilson(correct, count) == pytest.approx(wilson_by_hand(correct, count), abs=1e-12)


def test_wilson_reaches_0_and_1_exactly() -> None:
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


def test_mean_and_interval_over_folds() -> None:
    score = over_folds([0.8, 0.9, 1.0])
    assert score.mean == pytest.approx(0.9)
    assert score.deviation == pytest.approx(0.1)
    # Student's t of two degrees of freedom: 4.303 standard errors.
    assert score.interval == pytest.approx((0.9 - 4.3027 * 0.1 / 3**0.5, 0.9 + 4.3027 * 0.1 / 3**0.5), abs=1e-4)


def test_equal_folds_have_an_interval_of_no_width() -> None:
    assert over_folds([0.75, 0.75]).interval == (0.75, 0.75)


def test_an_interval_over_folds_holds_only_what_a_score_can_be() -> None:
    assert over_folds([0.8, 0.95, 0.75], highest=1.0).interval[1] == 1.0
    assert over_folds([0.1, 0.6, 0.3]).interval[0] == 0.0


def test_the_paired_bootstrap_sees_what_unpaired_intervals_do_not() -> None:
    generator = np.random.default_rng(0)
    worse = generator.random(500) < 0.8
    better = worse.copy()
    better[np.flatnonzero(~worse)[:15]] = True  # correct on the same images, and on 15 more
    low, high = paired_bootstrap(better, worse)
    assert 0 < low < 15 / 500 < high
    assert wilson(int(better.sum()), 500)[0] < wilson(int(worse.sum()), 500)[1]  # the two intervals overlap


def test_the_paired_bootstrap_equals_scipys() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=(2, 300))
    expected = scipy.stats.bootstrap(
        (first, second),
        lambda a, b, axis: (a - b).mean(axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    width = expected.high - expected.low
    # Two samples of bootstrap means: their percentiles differ by a few hundredths of the width.
    assert paired_bootstrap(first, second) == pytest.approx((expected.low, expected.high), abs=0.07 * width)


@pytest.mark.parametrize(("first", "second"), [([1, 0], [1, 0, 1]), ([], []), ([[1, 0]], [[1, 0]])])
def test_the_paired_bootstrap_refuses_other_images(first: list[int], second: list[int]) -> None:
    with pytest.raises(ValueError, match="same images"):
        paired_bootstrap(first, second)


def test_resamples_are_as_large_as_the_images_and_reproducible() -> None:
    counts = np.array(list(resamples(7, seed=3)))
    assert counts.shape == (1000, 7)
    assert (counts.sum(1) == 7).all()
    np.testing.assert_array_equal(counts, np.array(list(resamples(7, seed=3))))
    # The number of times an image is drawn: mean 1, variance 1 - 1/n.
    assert counts.mean() == 1.0
    assert counts.var() == pytest.approx(1 - 1 / 7, rel=0.1)


def test_percentiles_cut_off_a_fortieth_on_each_side() -> None:
    assert percentile_interval(np.arange(1001, dtype=float)) == (25.0, 975.0)
