"""Stacking: a regression that learns which member to trust with what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.pools import Stack
from pipelines.evaluation.calibration import logarithm
from pipelines.evaluation.metrics import losses

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # scikit-learn's C, the inverse of the penalty
FOLDS = 5


def fit_stack(answers: Floats, labels: Ints, *, seed: int = 0) -> Stack:
    """Multinomial logistic regression on the members' log-probabilities; its penalty is chosen by cross-validation.

    Args:
        answers: (members, images, classes).
        labels: (images,) the right classes.
        seed: of the folds.

    Raises:
        UserError: a class has no image.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    num_classes = answers.shape[2]
    counts = np.bincount(labels, minlength=num_classes)
    if counts.min() == 0:
        raise UserError(
            f"the method `stack` needs validation images of every class; {(counts == 0).sum()} have none",
            "choose another --method, such as `greedy`",
        )
    rows = side_by_side(answers)
    mean, scale = rows.mean(0), rows.std(0) + 1e-6
    rows = (rows - mean) / scale

    def regression(strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=2000, tol=1e-5)

    # With one image of a class there is nothing to hold out: the strongest penalty trusts the members most.
    strength, splits = STRENGTHS[0], min(FOLDS, int(counts.min()))
    if splits > 1:
        folds = list(StratifiedKFold(splits, shuffle=True, random_state=seed).split(rows, labels))

        def held_out(strength: float) -> float:
            found = 0.0
            for inside, outside in folds:
                fitted = regression(strength).fit(rows[inside], labels[inside])
                found += float(losses(fitted.predict_proba(rows[outside]), labels[outside]).sum())
            return found

        strength = min(STRENGTHS, key=held_out)
    fitted = regression(strength).fit(rows, labels)
    kernel, bias = fitted.coef_.T, fitted.intercept_
    if num_classes == 2:  # scikit-learn keeps the second class' logit alone
        kernel, bias = np.hstack([np.zeros_like(kernel), kernel]), np.array([0.0, bias[0]])
    folded = kernel / scale[:, None]
    return Stack(kernel=folded.astype(np.float32), bias=(bias - mean @ folded).astype(np.float32))


def side_by_side(answers: Floats) -> Floats:
    """Log-probabilities (images, members * classes), member by member."""
    found: Floats = np.moveaxis(logarithm(answers), 0, 1).reshape(answers.shape[1], -1)
    return found
