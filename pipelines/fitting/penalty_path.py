"""Solves a linear head for one penalty after another, each judged by images that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from models.arrays import Doubles, Flags, Indices, Probabilities, Weights
from models.softmax_regression import SolvedHeads, solve, start_at_zero
from pipelines.evaluation.metrics import losses
from pipelines.fitting.standardised import StandardisedRows
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.training_records import HeadTrial

# Of the solutions that choose a penalty; the head that is kept is solved to the solver's own.
PATH_TOLERANCE = 1e-3
# The path goes from the greatest penalty down. It ends when the loss has risen so often, or to so many times its least.
MAX_RISES, GREAT_RISE = 2, 1.02
BLOCK = 4096  # images that are predicted at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Division:
    """Which images heads are fitted to, and which judge them.

    Attributes:
        fold_of: (images,) the fold that holds each image out, from 0; -1 where none does.
        num_folds: how many folds; 0 for none.
        is_fitted: (images,) whether heads are fitted to the image at all; the others judge the head of all that are.
        weights: (images,) of the images in the loss, of mean 1.
    """

    fold_of: Indices
    num_folds: int
    is_fitted: Flags
    weights: Weights

    @property
    def is_held_out(self) -> Flags:
        """(images,) whether a fold holds the image out."""
        return self.fold_of >= 0

    @property
    def is_validation(self) -> Flags:
        """(images,) whether no head is fitted to the image."""
        return ~self.is_fitted

    @property
    def is_refitted(self) -> Flags:
        """(images,) whether the chosen head is fitted to the image: to every one, where folds choose."""
        return np.ones_like(self.is_fitted) if self.num_folds else self.is_fitted

    def weights_of_heads(self) -> Weights:
        """(folds + 1, images) weights in each head: one head a fold, and last that of all fitted images."""
        numbers = np.arange(self.num_folds + 1)[:, None]  # no image has the last one as its fold
        is_used = (self.fold_of[None] != numbers) & self.is_fitted[None]
        return np.where(is_used, self.weights[None], 0).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Scores of heads on images that they were not fitted to.

    Attributes:
        loss: mean log-loss, nats.
        accuracy: in [0, 1].
    """

    loss: float
    accuracy: float


def judge(loss: Doubles, is_correct: Flags, is_judged: Flags) -> Judgement | None:
    """The mean scores of the images that are judged, of (images,) losses and answers; None where there are none."""
    if not is_judged.any():
        return None
    return Judgement(loss=float(loss[is_judged].mean()), accuracy=float(is_correct[is_judged].mean()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The heads of one penalty.

    Attributes:
        l2: the penalty.
        heads: one a fold, and last that of all fitted images.
        probabilities: (images, classes) of each image by a head that was not fitted to it; 0 where there is none.
        losses: (images,) log-losses of those, nats.
        out_of_fold: scores on the images that folds hold out; None without folds.
        validation: scores on the images that no head is fitted to; None where there are none.
        training: scores of the head of all fitted images, on these.
    """

    l2: float
    heads: SolvedHeads
    probabilities: Probabilities
    losses: Doubles
    out_of_fold: Judgement | None
    validation: Judgement | None
    training: Judgement

    @property
    def deciding(self) -> Judgement:
        """The scores that choose: out of fold, where there are folds."""
        judgement = self.out_of_fold or self.validation
        assert judgement is not None, "folds or validation images judge a head"
        return judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedPenalty:
    """What is kept of the heads of one penalty; attributes as of `Solution`."""

    l2: float
    out_of_fold: Judgement | None
    validation: Judgement | None
    training: Judgement


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """The penalties that were tried on one set of features.

    Attributes:
        tried: in the order of the path.
        best: the solution with the least deciding loss.
        best_on_validation: that with the least validation loss; None where no image is left for validation.
    """

    tried: tuple[TriedPenalty, ...]
    best: Solution
    best_on_validation: Solution | None


def follow_path(
    rows: StandardisedRows,
    division: Division,
    penalties: Sequence[float],
    num_classes: int,
    on_solution: Callable[[Solution], None],
) -> Path:
    """Solve the heads of all folds for one penalty after another, each from the solution before.

    Args:
        rows: the features.
        division: which images fit and judge.
        penalties: the greatest first.
        num_classes: number of classes.
        on_solution: called with each solution.
    """
    weights = rows.spread(division.weights_of_heads())
    heads = start_at_zero(rows.num_features, division.num_folds + 1, num_classes)
    tried: list[TriedPenalty] = []
    best: Solution | None = None
    best_on_validation: Solution | None = None
    rises = 0
    for l2 in penalties:
        heads = solve(rows, rows.labels, weights, [l2] * len(weights), heads, tolerance=PATH_TOLERANCE)
        solution = _judge(rows, division, l2, heads)
        on_solution(solution)
        tried.append(
            TriedPenalty(
                l2=l2,
                out_of_fold=solution.out_of_fold,
                validation=solution.validation,
                training=solution.training,
            )
        )
        least = best_on_validation.validation if best_on_validation else None
        if _is_better(solution.validation, least):
            best_on_validation = solution
        if best is None or _is_better(solution.deciding, best.deciding):
            best, rises = solution, 0
            continue
        rises += 1
        if rises == MAX_RISES or solution.deciding.loss > GREAT_RISE * best.deciding.loss:
            break
    assert best is not None, "there is a penalty"
    return Path(tried=tuple(tried), best=best, best_on_validation=best_on_validation)


def list_trials(paths: Mapping[FeatureLayers, Path], seed: int) -> tuple[HeadTrial, ...]:
    """Each penalty on each set of features, the best first."""
    tried = [
        (name, penalty, penalty.out_of_fold or penalty.validation)
        for name, path in paths.items()
        for penalty in path.tried
    ]
    trials = [
        HeadTrial(
            number=number,
            features=name,
            l2=penalty.l2,
            learning_rate=None,
            dropout=0.0,
            seed=seed,
            best_epoch=None,
            validation_loss=round(scores.loss, 5),
            validation_accuracy=round(scores.accuracy, 5),
            training_loss=round(penalty.training.loss, 5),
            training_accuracy=round(penalty.training.accuracy, 5),
        )
        for number, (name, penalty, scores) in enumerate(tried)
        if scores is not None
    ]
    return tuple(sorted(trials, key=lambda trial: trial.validation_loss or 0.0))


def _is_better(judgement: Judgement | None, best: Judgement | None) -> bool:
    return judgement is not None and (best is None or judgement.loss < best.loss)


def _judge(rows: StandardisedRows, division: Division, l2: float, heads: SolvedHeads) -> Solution:
    """Predict the clean view of each image by the head that was not fitted to it, and by that of all fitted ones."""
    probabilities = np.zeros((rows.num_images, heads.weights.shape[2]), np.float32)
    judges = np.where(division.is_validation, division.num_folds, division.fold_of)
    labels = rows.labels[: rows.num_images]
    fitted_loss, fitted_correct = 0.0, 0
    for places, block in rows.clean_blocks(BLOCK):
        if (is_fitted := division.is_fitted[places]).any():
            own = softmax(heads.logits(block[is_fitted], division.num_folds), axis=-1)
            fitted_loss += float(losses(own, labels[places][is_fitted]).sum())
            fitted_correct += int((own.argmax(1) == labels[places][is_fitted]).sum())
        for head in np.unique(judges[places]):
            if head >= 0:
                is_judged = judges[places] == head
                probabilities[places][is_judged] = softmax(heads.logits(block[is_judged], int(head)), axis=-1)
    loss, is_correct = losses(probabilities, labels), probabilities.argmax(1) == labels
    num_fitted = int(division.is_fitted.sum())
    return Solution(
        l2=l2,
        heads=heads,
        probabilities=probabilities,
        losses=loss,
        out_of_fold=judge(loss, is_correct, division.is_held_out),
        validation=judge(loss, is_correct, division.is_validation),
        training=Judgement(loss=fitted_loss / num_fitted, accuracy=fitted_correct / num_fitted),
    )
