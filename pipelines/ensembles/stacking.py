"""Stacking: a softmax regression on the members' probabilities, which learns which member to trust for which class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Doubles, Indices
from models.errors import UserError
from models.pools import StackingRegression, side_by_side
from pipelines.evaluation.metrics import losses

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # scikit-learn's C, the inverse of the penalty
FOLDS = 5


def fit_stack(probabilities: Doubles, labels: Indices, *, seed: int = 0) -> StackingRegression:
    """Multinomial logistic regression on the members' log-probabilities; its penalty is chosen by cross-validation.

    Args:
        probabilities: (members, images, classes).
        labels: (images,) true classes.
        seed: of the folds.

    Raises:
        UserError: a class has no image.
    """
    num_classes = probabilities.shape[2]
    counts = np.bincount(labels, minlength=num_classes)
    if counts.min() == 0:
        raise UserError(
            f"the method `stack` needs validation images of every class; {(counts == 0).sum()} have none",
            "choose another --method, such as `greedy`",
        )
    rows = side_by_side(probabilities)
    mean, scale = rows.mean(0), rows.std(0) + 1e-6
    rows = (rows - mean) / scale

    # With one image of a class none can be held out: the strongest penalty trusts the members most.
    strength, num_folds = STRENGTHS[0], min(FOLDS, int(counts.min()))
    if num_folds > 1:
        strength = min(STRENGTHS, key=lambda strength: _held_out_loss(rows, labels, strength, num_folds, seed))
    fitted = _regression(strength).fit(rows, labels)
    kernel, bias = fitted.coef_.T, fitted.intercept_
    if num_classes == 2:  # scikit-learn has the second class' logit alone
        kernel, bias = np.hstack([np.zeros_like(kernel), kernel]), np.array([0.0, bias[0]])
    folded = kernel / scale[:, None]
    return StackingRegression(kernel=folded.astype(np.float32), bias=(bias - mean @ folded).astype(np.float32))


def _held_out_loss(rows: Doubles, labels: Indices, strength: float, num_folds: int, seed: int) -> float:
    """Summed log-loss of each image under a regression that was fitted without its fold, nats."""
    from sklearn.model_selection import StratifiedKFold

    loss = 0.0
    for inside, outside in StratifiedKFold(num_folds, shuffle=True, random_state=seed).split(rows, labels):
        fitted = _regression(strength).fit(rows[inside], labels[inside])
        loss += float(losses(fitted.predict_proba(rows[outside]), labels[outside]).sum())
    return loss


def _regression(strength: float) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000, tol=1e-5)
