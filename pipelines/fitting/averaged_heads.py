"""Averages the logits of the best heads of two sets of features, where that lowers the loss out of fold.

A head on the last layer's features is one on all levels with zeros, so that the average is one linear head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from models.arrays import Doubles, Labels, Probabilities
from pipelines.evaluation.intervals import paired_bootstrap
from pipelines.evaluation.metrics import losses
from pipelines.fitting.head_choice import HeadChoice, HeadPart
from pipelines.fitting.penalty_path import Division, Path, Solution, judge
from pipelines.runs.cross_validation_record import FeatureLayers

LEAST_SHARE = 0.05  # of the logits; a head of less is left out: on clothing, 3 to 10 % changed nothing
LEAST_PROBABILITY = 1e-30


def average_heads(
    choice: HeadChoice, paths: Mapping[FeatureLayers, Path], division: Division, labels: Labels
) -> HeadChoice:
    """Average the best heads of both sets where folds chose between them.

    Their shares are those of the least log-loss out of fold, a convex problem of one number. A given validation part on
    which the average is clearly worse than the chosen head has the last word.

    Args:
        choice: between the sets.
        paths: of the sets, the smaller first.
        division: which images fit and judge.
        labels: (images,) class indices.

    Returns:
        The choice as it is, or one of the larger set whose `parts` are both heads.
    """
    if len(paths) != 2 or choice.decider != "folds" or choice.warning:
        return choice
    (_, smaller), (larger, path) = paths.items()
    logits = [_logarithms(one.best.probabilities) for one in (smaller, path)]
    share = _find_share(logits[0][division.is_held_out], logits[1][division.is_held_out], labels[division.is_held_out])
    if not LEAST_SHARE < share < 1 - LEAST_SHARE:
        return choice
    probabilities = softmax(share * logits[0] + (1 - share) * logits[1], axis=-1).astype(np.float32)
    averaged = _judged(choice.solution, probabilities, division, labels)
    alone, is_validation = choice.solution.losses, division.is_validation
    if is_validation.any() and paired_bootstrap(averaged.losses[is_validation], alone[is_validation])[0] > 0:
        return choice
    parts = tuple(
        HeadPart(features=name, solution=of_set.best, share=of_part)
        for (name, of_set), of_part in zip(paths.items(), (share, 1 - share), strict=True)
    )
    names = " and ".join(f"{part.features} ({part.share:.0%}, l2 {part.solution.l2:g})" for part in parts)
    loss = averaged.deciding.loss
    line = f"head: logits of features {names} averaged, by out-of-fold log-loss ({loss:.4f}; {choice.loss:.4f} alone)"
    return replace(choice, features=larger, solution=averaged, loss=loss, line=line, parts=parts)


def _logarithms(probabilities: Probabilities) -> Doubles:
    """Logits (images, classes), up to a number for each image that no softmax sees."""
    logits: Doubles = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))
    return logits


def _find_share(first: Doubles, second: Doubles, labels: Labels) -> float:
    """The share of the first logits in the average of least log-loss, in [0, 1]."""
    places = np.arange(len(labels))

    def loss(share: float) -> float:
        return -float(log_softmax(share * first + (1 - share) * second, axis=-1)[places, labels].mean())

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)


def _judged(chosen: Solution, probabilities: Probabilities, division: Division, labels: Labels) -> Solution:
    """The scores of averaged heads, each image by heads that were not fitted to it."""
    loss, is_correct = losses(probabilities, labels), probabilities.argmax(1) == labels
    return replace(
        chosen,
        probabilities=probabilities,
        losses=loss,
        out_of_fold=judge(loss, is_correct, division.is_held_out),
        validation=judge(loss, is_correct, division.is_validation),
    )
