"""Judge probabilities: scores with intervals, and whether one model is better than another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError
from pipelines.evaluation.intervals import _percentiles, _resamples, wilson
from pipelines.runs.report import ClassScore, Confusion, Interval, Report

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
BINS = 15
PAIRS = 10
SMALLEST = float(np.finfo(np.float64).eps)  # what scikit-learn's log_loss clips double probabilities to


def report(
    probabilities: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    top_k: int | None = None,
    seed: int = 0,
) -> Report:
    """Score a model's answers.

    Args:
        probabilities: (images, classes), rows that sum to 1.
        labels: (images,) right classes, indices into `class_names`; a class may have no image.
        class_names: (classes,) in the order of the columns.
        top_k: k of the top-k accuracy; None for 5, or one less than there are classes where that is fewer.
        seed: of the bootstrap.

    Raises:
        UserError: there are no images, or probabilities are not finite.
    """
    from sklearn.metrics import precision_recall_fscore_support

    answers, truth = checked(probabilities, labels, len(class_names))
    count, num_classes = answers.shape
    present = np.unique(truth)
    predicted = answers.argmax(1)
    k = max(1, min(5, num_classes - 1)) if top_k is None else max(1, min(top_k, num_classes))

    # Each class, and the means over the classes that have images.
    each = precision_recall_fscore_support(truth, predicted, labels=range(num_classes), zero_division=0)
    macro = precision_recall_fscore_support(truth, predicted, labels=present, average="macro", zero_division=0)
    weighted = precision_recall_fscore_support(truth, predicted, labels=present, average="weighted", zero_division=0)
    # scikit-learn's confusion_matrix warns when there is one class.
    matrix = np.bincount(truth * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)

    # Each image.
    ranks = ranks_of(answers, truth)
    loss = losses(answers, truth)
    right, within = int((ranks == 0).sum()), int((ranks < k).sum())
    intervals = _intervals(answers, truth, predicted, loss, seed)

    return Report(
        images=count,
        accuracy=right / count,
        accuracy_interval=wilson(right, count),
        balanced_accuracy=float(macro[1]),
        balanced_accuracy_interval=intervals["balanced_accuracy"],
        macro_precision=float(macro[0]),
        macro_recall=float(macro[1]),
        macro_f1=float(macro[2]),
        macro_f1_interval=intervals["macro_f1"],
        weighted_precision=float(weighted[0]),
        weighted_recall=float(weighted[1]),
        weighted_f1=float(weighted[2]),
        top_k=k,
        top_k_accuracy=within / count,
        top_k_accuracy_interval=wilson(within, count),
        log_loss=float(loss.mean()),
        log_loss_interval=intervals["log_loss"],
        ece=calibration_error(answers, truth),
        classes=tuple(_class_score(name, *row) for name, *row in zip(class_names, *each, strict=True)),
        confusion_matrix=tuple(tuple(int(cell) for cell in row) for row in matrix),
        confused=_confused(matrix, class_names),
    )


def checked(probabilities: ArrayLike, labels: ArrayLike, num_classes: int) -> tuple[Floats, Ints]:
    """Probabilities (images, classes) as doubles whose rows sum to 1, and labels (images,).

    Raises:
        UserError: there are no images, or probabilities are not finite.
        ValueError: shapes, labels or probabilities that no model gives.
    """
    answers, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.intp)
    if not len(truth):
        raise UserError("there is no image to judge the model on", "give a folder with at least one readable image")
    if answers.shape != (len(truth), num_classes):
        raise ValueError(f"probabilities have shape {answers.shape}, expected {(len(truth), num_classes)}")
    if truth.min() < 0 or truth.max() >= num_classes:
        raise ValueError(f"labels reach from {truth.min()} to {truth.max()}, classes from 0 to {num_classes - 1}")
    broken = ~np.isfinite(answers).all(1)
    if broken.any():
        raise UserError(
            f"the model answers {broken.sum():,} of {len(truth):,} images with no number",
            "its training diverged: train it again with a lower --learning-rate",
        )
    sums = answers.sum(1, keepdims=True)
    # A softmax in half precision misses 1 by up to about a hundredth; more than that is no probability.
    if answers.min() < 0 or np.abs(sums - 1).max() > 0.02:
        raise ValueError("probabilities must not be negative, and their rows must sum to 1")
    return answers / sums, truth


def losses(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Each image's -log(probability of the right class), nats; their mean is scikit-learn's `log_loss`."""
    answers, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.intp)
    found: Floats = -np.log(np.clip(answers[np.arange(len(truth)), truth], SMALLEST, None))
    return found


def ranks_of(probabilities: Floats, labels: Ints) -> Ints:
    """How many classes each image's right class comes after, in (images,).

    Ties go to the lower index, as `argmax` has it: scikit-learn's `top_k_accuracy_score` gives them to the higher,
    so that its top-1 is not the accuracy.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1])[None, :] < labels[:, None]
    found: Ints = ((probabilities > own) | ((probabilities == own) & before)).sum(1)
    return found


def calibration_error(probabilities: Floats, labels: Ints) -> float:
    """Expected calibration error in [0, 1], with 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    It comes without an interval: chance gaps only ever add to it, a resample adds them twice, and a percentile
    interval of few images lies wholly above the estimate.
    """
    confidence = probabilities.max(1)
    gaps = (probabilities.argmax(1) == labels) - confidence
    # Bin m of M holds confidences in (m / M, (m + 1) / M].
    bins = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    sums = np.bincount(bins, weights=gaps, minlength=BINS)
    return float(np.abs(sums).sum() / len(labels))


def _intervals(answers: Floats, truth: Ints, predicted: Ints, loss: Floats, seed: int) -> dict[str, Interval]:
    """Percentile intervals of the scores that are no shares of images; all from the same resamples."""
    count, num_classes = answers.shape
    correct = predicted == truth
    hits = truth[correct]
    found: dict[str, list[float]] = {"balanced_accuracy": [], "macro_f1": [], "log_loss": []}
    for weights in _resamples(count, seed):
        support = np.bincount(truth, weights, num_classes)
        called = np.bincount(predicted, weights, num_classes)
        right = np.bincount(hits, weights[correct], num_classes)
        there = support > 0
        found["balanced_accuracy"].append((right[there] / support[there]).mean())
        found["macro_f1"].append((2 * right[there] / (support + called)[there]).mean())
        found["log_loss"].append(weights @ loss / count)
    return {name: _percentiles(np.array(values)) for name, values in found.items()}


def _class_score(name: str, precision: float, recall: float, f1: float, support: int) -> ClassScore:
    if support == 0:
        return ClassScore(name=name, precision=None, recall=None, f1=None, support=0)
    return ClassScore(name=name, precision=float(precision), recall=float(recall), f1=float(f1), support=int(support))


def _confused(matrix: NDArray[np.int64], class_names: Sequence[str]) -> tuple[Confusion, ...]:
    wrong = matrix - np.diag(np.diag(matrix))
    support = matrix.sum(1)
    # A stable sort leaves ties in the order of the classes.
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [(int(row), int(column)) for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return tuple(
        Confusion(
            label=class_names[row],
            predicted=class_names[column],
            count=int(wrong[row, column]),
            share=float(wrong[row, column] / support[row]),
        )
        for row, column in pairs
        if wrong[row, column]
    )
