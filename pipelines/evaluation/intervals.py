"""Computes confidence intervals of scores and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles
from pipelines.runs.report import FoldScore, Interval

RESAMPLES = 1000
NORMAL_975 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def over_folds(scores: Sequence[float], *, highest: float = math.inf) -> FoldScore:
    """Mean, standard deviation and 95 % interval (Student's t) of at least two folds' scores.

    Args:
        scores: of each fold, none below 0.
        highest: that a score can be. Student's t knows no bounds; the interval ends at 0 and here.
    """
    from scipy.stats import t

    mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
    half = float(t.ppf(0.975, len(scores) - 1)) * deviation / math.sqrt(len(scores))
    return FoldScore(mean=mean, deviation=deviation, interval=(max(0.0, mean - half), min(highest, mean + half)))


def wilson(correct: int, count: int) -> Interval:
    """Wilson's score interval at 95 % for a share of `correct` in `count` (> 0); valid for small samples too.

    As SciPy's `binomtest` computes it, whose import takes a second.
    """
    half_denominator = count + NORMAL_975**2
    centre = (2 * correct + NORMAL_975**2) / (2 * half_denominator)
    spread = 4 * correct * (count - correct) / count + NORMAL_975**2
    half = NORMAL_975 * math.sqrt(spread) / (2 * half_denominator)
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == count else centre + half)


def of_share(share: float, count: int) -> Interval:
    """`wilson` of a share in [0, 1] of `count` images."""
    return wilson(round(share * count), count)


def paired_bootstrap(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> Interval:
    """Percentile bootstrap interval, 95 %, of the difference of two models' mean scores on the same images.

    Images are drawn in pairs, so that the difficulty of an image cancels out.

    Args:
        first: (images,) score of one model on each image: correct (1) or wrong (0), or its loss.
        second: (images,) of the other model, in the same order.
        seed: of the bootstrap.

    Returns:
        Bounds of mean(first) - mean(second).

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    scores, others = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if scores.shape != others.shape or scores.ndim != 1 or not len(scores):
        raise ValueError(f"both models need scores of the same images, got shapes {scores.shape} and {others.shape}")
    differences = scores - others
    means = np.array([counts @ differences for counts in resamples(len(differences), seed)]) / len(differences)
    return percentile_interval(means)


def resamples(count: int, seed: int) -> Iterator[Doubles]:
    """Bootstrap samples of `count` images: how often each image is in the sample, (images,), RESAMPLES times."""
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = generator.integers(0, count, count)
        yield np.bincount(drawn, minlength=count).astype(np.float64)


def percentile_interval(values: Doubles) -> Interval:
    """The middle 95 % of bootstrap values."""
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
