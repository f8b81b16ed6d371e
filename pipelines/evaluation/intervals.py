"""Confidence intervals of scores and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles
from pipelines.runs.report import Difference, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class OverFolds:
    """A score over folds.

    Attributes:
        mean: of the folds' scores.
        deviation: their standard deviation.
        interval: 95 %, of the mean, by Student's t. Folds share training images, so it is somewhat too narrow
            (Bengio and Grandvalet 2004: no unbiased estimate of that variance exists).
    """

    mean: float
    deviation: float
    interval: Interval


def over_folds(scores: Sequence[float]) -> OverFolds:
    """Mean, standard deviation and interval of at least two folds' scores."""
    from scipy.stats import t

    mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
    half = float(t.ppf(0.975, len(scores) - 1)) * deviation / math.sqrt(len(scores))
    return OverFolds(mean=mean, deviation=deviation, interval=(mean - half, mean + half))


RESAMPLES = 1000
Z95 = 1.959963984540054  # the normal quantile of a two-sided 95 % interval


def wilson(hits: int, count: int) -> Interval:
    """Wilson's score interval at 95 % for a share of `hits` in `count` (> 0): it holds for small samples too."""
    share, z2 = hits / count, Z95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    # At 0 and 1 the bound is the share itself; the formula misses it by a rounding.
    return (0.0 if hits == 0 else middle - half, 1.0 if hits == count else middle + half)


def paired_bootstrap(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> Difference:
    """Compare two models on the same images.

    Args:
        first: (images,) what one model scored on each: right (1) or wrong (0), or its loss.
        second: (images,) the other model's, in the same order.
        seed: of the bootstrap.

    Returns:
        Mean of `first` less mean of `second`; images are drawn in pairs, so what is hard for both cancels out.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ValueError(f"two scores of the same images are needed, not {one.shape} and {other.shape}")
    gaps = one - other
    means = np.array([weights @ gaps for weights in _resamples(len(gaps), seed)]) / len(gaps)
    return Difference(value=float(gaps.mean()), interval=_percentiles(means))


def _resamples(count: int, seed: int) -> Iterator[Doubles]:
    """How often each of `count` images stands in a bootstrap sample, RESAMPLES times."""
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = generator.integers(0, count, count)
        yield np.bincount(drawn, minlength=count).astype(np.float64)


def _percentiles(values: Doubles) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return (float(low), float(high))
