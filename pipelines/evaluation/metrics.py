"""Scores predicted probabilities: accuracy, F1, log-loss, calibration error and confusions, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles, Indices
from models.errors import UserError
from pipelines.evaluation.intervals import percentile_interval, resamples, wilson
from pipelines.runs.report import ClassScore, Confusion, Interval, Report

BINS = 15  # of the calibration error
CONFUSIONS = 10  # most frequent ones in a report
SMALLEST = float(np.finfo(np.float64).eps)  # what scikit-learn's log_loss clips double probabilities to


def report(
    probabilities: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    top_k: int | None = None,
    seed: int = 0,
) -> Report:
    """Score a model's predictions.

    Args:
        probabilities: (images, classes), rows that sum to 1.
        labels: (images,) true classes, indices into `class_names`; a class may have no image.
        class_names: (classes,) in the order of the columns.
        top_k: k of the top-k accuracy; None for 5, or one less than the number of classes where that is fewer.
        seed: of the bootstrap.

    Raises:
        UserError: there are no images, or probabilities are not finite.
    """
    scores, classes = checked(probabilities, labels, len(class_names))
    count, num_classes = scores.shape
    predicted = scores.argmax(1)
    k = max(1, min(5, num_classes - 1)) if top_k is None else max(1, min(top_k, num_classes))

    # Scores of each class, and their means over the classes that have images.
    by_class = _class_scores(classes, predicted, class_names)
    macro, weighted = (_mean_scores(classes, predicted, average=average) for average in ("macro", "weighted"))
    confusion_matrix = count_confusions(classes, predicted, num_classes)

    # Scores of each image.
    ranks, loss = ranks_of(scores, classes), losses(scores, classes)
    correct, in_top_k = int((ranks == 0).sum()), int((ranks < k).sum())
    intervals = _bootstrap_intervals(classes, predicted, loss, num_classes, seed)
    return Report(
        images=count,
        accuracy=correct / count,
        accuracy_interval=wilson(correct, count),
        balanced_accuracy=macro[1],
        balanced_accuracy_interval=intervals["balanced_accuracy"],
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=macro[2],
        macro_f1_interval=intervals["macro_f1"],
        weighted_precision=weighted[0],
        weighted_recall=weighted[1],
        weighted_f1=weighted[2],
        top_k=k,
        top_k_accuracy=in_top_k / count,
        top_k_accuracy_interval=wilson(in_top_k, count),
        log_loss=float(loss.mean()),
        log_loss_interval=intervals["log_loss"],
        ece=calibration_error(scores, classes),
        classes=by_class,
        confusion_matrix=tuple(tuple(int(cell) for cell in row) for row in confusion_matrix),
        confused=_most_confused(confusion_matrix, class_names),
    )


def checked(probabilities: ArrayLike, labels: ArrayLike, num_classes: int) -> tuple[Doubles, Indices]:
    """Probabilities (images, classes) in double precision with rows that sum to 1, and labels (images,).

    Raises:
        UserError: there are no images, or probabilities are not finite.
        ValueError: shapes, labels or values that no classifier gives.
    """
    scores, classes = np.asarray(probabilities, np.float64), np.asarray(labels, np.intp)
    if not len(classes):
        raise UserError("no labelled images to evaluate on", "give a folder with at least one readable image")
    if scores.shape != (len(classes), num_classes):
        raise ValueError(f"probabilities have shape {scores.shape}, expected {(len(classes), num_classes)}")
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(f"labels must lie in [0, {num_classes - 1}], got {classes.min()} to {classes.max()}")
    num_broken = int((~np.isfinite(scores).all(1)).sum())
    if num_broken:
        raise UserError(
            f"the model's probabilities are not finite for {num_broken:,} of {len(classes):,} images",
            "its training diverged: train it again with a lower --learning-rate",
        )
    sums = scores.sum(1, keepdims=True)
    # Rows of a softmax in half precision differ from 1 by up to about 0.01; a larger difference is an error.
    if scores.min() < 0 or np.abs(sums - 1).max() > 0.02:
        raise ValueError("probabilities must not be negative, and their rows must sum to 1")
    return scores / sums, classes


def losses(probabilities: ArrayLike, labels: ArrayLike) -> Doubles:
    """Loss of each image, (images,): -log(probability of the true class), nats; the mean is scikit-learn's `log_loss`.

    Args:
        probabilities: (images, classes); or (models, images, classes), for losses (models, images).
        labels: (images,) true classes.
    """
    classes = np.asarray(labels, np.intp)
    of_label = np.asarray(probabilities)[..., np.arange(len(classes)), classes]
    return -np.log(np.clip(of_label.astype(np.float64), SMALLEST, None))


def ranks_of(probabilities: Doubles, labels: Indices) -> Indices:
    """Rank of each image's true class among the classes by probability, (images,), 0 for the most probable.

    Ties go to the lower index, as in `argmax`: scikit-learn's `top_k_accuracy_score` gives them to the higher one, so
    that its top-1 differs from the accuracy.
    """
    of_label = np.take_along_axis(probabilities, labels[:, None], axis=1)
    is_before = np.arange(probabilities.shape[1])[None, :] < labels[:, None]
    ranks: Indices = ((probabilities > of_label) | ((probabilities == of_label) & is_before)).sum(1)
    return ranks


def calibration_error(probabilities: Doubles, labels: Indices) -> float:
    """Expected calibration error in [0, 1], with 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    It has no interval: random gaps only ever add to it, a resample adds them twice, and a percentile interval of few
    images lies wholly above the estimate.
    """
    confidence = probabilities.max(1)
    gaps = (probabilities.argmax(1) == labels) - confidence
    # Bin m of M holds confidences in (m / M, (m + 1) / M].
    bins = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    sums = np.bincount(bins, weights=gaps, minlength=BINS)
    return float(np.abs(sums).sum() / len(labels))


def count_confusions(labels: Indices, predicted: Indices, num_classes: int) -> Indices:
    """Images by true class (rows) and predicted class (columns).

    scikit-learn's `confusion_matrix` warns where there is one class.
    """
    return np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


def _bootstrap_intervals(
    labels: Indices, predicted: Indices, loss: Doubles, num_classes: int, seed: int
) -> dict[str, Interval]:
    """Percentile intervals of the scores that are not shares of images, all from the same resamples."""
    is_correct = predicted == labels
    correct_labels = labels[is_correct]
    values: dict[str, list[float]] = {"balanced_accuracy": [], "macro_f1": [], "log_loss": []}
    for counts in resamples(len(labels), seed):
        support = np.bincount(labels, counts, num_classes)
        predictions = np.bincount(predicted, counts, num_classes)
        correct = np.bincount(correct_labels, counts[is_correct], num_classes)
        present = support > 0
        values["balanced_accuracy"].append(float((correct[present] / support[present]).mean()))
        values["macro_f1"].append(float((2 * correct[present] / (support + predictions)[present]).mean()))
        values["log_loss"].append(float(counts @ loss) / len(labels))
    return {score: percentile_interval(np.array(resampled)) for score, resampled in values.items()}


def _mean_scores(labels: Indices, predicted: Indices, *, average: str) -> tuple[float, float, float]:
    """Precision, recall and F1, averaged over the classes that have images."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average=average, zero_division=0
    )
    return float(precision), float(recall), float(f1)


def _class_scores(labels: Indices, predicted: Indices, class_names: Sequence[str]) -> tuple[ClassScore, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    scores = precision_recall_fscore_support(labels, predicted, labels=range(len(class_names)), zero_division=0)
    return tuple(_class_score(name, *row) for name, *row in zip(class_names, *scores, strict=True))


def _class_score(name: str, precision: float, recall: float, f1: float, support: int) -> ClassScore:
    if support == 0:
        return ClassScore(name=name, precision=None, recall=None, f1=None, support=0)
    return ClassScore(name=name, precision=float(precision), recall=float(recall), f1=float(f1), support=int(support))


def _most_confused(confusion_matrix: Indices, class_names: Sequence[str]) -> tuple[Confusion, ...]:
    wrong = confusion_matrix - np.diag(np.diag(confusion_matrix))
    support = confusion_matrix.sum(1)
    # A stable sort leaves ties in the order of the classes.
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
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
