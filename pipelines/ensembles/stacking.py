"""Stacking: a softmax regression on the members' probabilities, which learns which member to trust for which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from models.arrays import Doubles, Indices
from models.errors import UserError
from models.pools import StackingRegression, side_by_side
from pipelines.data.folds import group_folds
from pipelines.evaluation.metrics import losses

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # scikit-learn's C, the inverse of the penalty
FOLDS = 5
APART = "a class has one group of look-alikes in the validation part: they are on both sides of the stack's folds"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedStack:
    """A regression, and what it is worth on images that it was not fitted on.

    Attributes:
        regression: fitted on all images.
        held_out: (images, classes) probabilities of each image by a regression that was fitted without its fold, with
            the same penalty. The penalty was chosen among `STRENGTHS` on these probabilities.
        note: what the folds could not keep together, for people; None where they could.
    """

    regression: StackingRegression
    held_out: Doubles
    note: str | None = None


def fit_stack(
    probabilities: Doubles, labels: Indices, *, groups: Sequence[str] | None = None, seed: int = 0
) -> FittedStack:
    """Multinomial logistic regression on the members' log-probabilities; its penalty is chosen by cross-validation.

    The probabilities that a stack gives the images it was fitted on look too good, and a temperature fitted on them
    makes the stack overconfident. Wolpert (1992, Stacked Generalization) judges by held-out images for this reason.

    Args:
        probabilities: (members, images, classes).
        labels: (images,) true classes.
        groups: (images,) keys of `pipelines.data.groups`: images of one key are held out together. None for none.
        seed: of the folds.

    Raises:
        UserError: a class has fewer than two images, so that none can be held out.
    """
    counts = np.bincount(labels, minlength=probabilities.shape[2])
    if counts.min() < 2:
        raise UserError(
            f"the method `stack` needs two validation images of every class; {(counts < 2).sum()} have fewer",
            "choose another --method, such as `greedy`",
        )
    rows, num_folds = side_by_side(probabilities), min(FOLDS, int(counts.min()))
    fold_of, note = _divide(labels, groups or range(len(labels)), num_folds, seed)
    held_out = {strength: _held_out(rows, labels, strength, fold_of) for strength in STRENGTHS}
    strength = min(STRENGTHS, key=lambda strength: float(losses(held_out[strength], labels).mean()))
    return FittedStack(regression=_fit(rows, labels, strength), held_out=held_out[strength], note=note)


def _divide(
    labels: Indices, groups: Sequence[str] | Sequence[int], num_folds: int, seed: int
) -> tuple[Indices, str | None]:
    """(images,) the fold that holds each image out, groups together where that leaves every class; and a note else."""
    from sklearn.model_selection import StratifiedKFold

    distinct, group_of = np.unique(np.asarray(groups), return_inverse=True)
    if len(distinct) < len(labels):
        names = [str(label) for label in range(int(labels.max()) + 1)]
        folds = group_folds(labels.astype(np.int32), group_of, names, count=num_folds, seed=seed)
        if folds.count > 1 and (folds.fold_of >= 0).all():
            return folds.fold_of, None
    fold_of = np.zeros(len(labels), np.intp)
    divided = StratifiedKFold(num_folds, shuffle=True, random_state=seed).split(labels, labels)
    for fold, (_, outside) in enumerate(divided):
        fold_of[outside] = fold
    return fold_of, APART if len(distinct) < len(labels) else None


def _held_out(rows: Doubles, labels: Indices, strength: float, fold_of: Indices) -> Doubles:
    """Probabilities (images, classes) of each image under a regression that was fitted without its fold."""
    probabilities = np.empty((len(rows), int(labels.max()) + 1))
    for fold in range(int(fold_of.max()) + 1):
        inside, outside = fold_of != fold, fold_of == fold
        fitted = _fit(rows[inside], labels[inside], strength)
        probabilities[outside] = softmax(rows[outside] @ fitted.kernel + fitted.bias, axis=-1)
    return probabilities


def _fit(rows: Doubles, labels: Indices, strength: float) -> StackingRegression:
    """Fit a regression on standardised rows, and fold the standardisation into it."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = rows.mean(0), rows.std(0) + 1e-6
    fitted = LogisticRegression(C=strength, max_iter=2000, tol=1e-5).fit((rows - mean) / scale, labels)
    kernel, bias = fitted.coef_.T, fitted.intercept_
    if kernel.shape[1] == 1:  # With two classes scikit-learn has the second one's logit alone.
        kernel, bias = np.hstack([np.zeros_like(kernel), kernel]), np.array([0.0, bias[0]])
    folded = kernel / scale[:, None]
    return StackingRegression(kernel=folded.astype(np.float32), bias=(bias - mean @ folded).astype(np.float32))
