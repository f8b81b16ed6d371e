"""Scores predicted probabilities: accuracy, F1, log-loss, calibration error and confusions, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles, Flags, Indices, Probabilities
from models.errors import UserError
from pipelines.evaluation.class_scores import ClassCounts
from pipelines.evaluation.confusions import Confusions
from pipelines.evaluation.intervals import percentile_interval, resamples, wilson
from pipelines.runs.report import Interval, Report

BINS = 15  # of the calibration error
SMALLEST = float(np.finfo(np.float64).eps)  # what scikit-learn's log_loss clips double probabilities to
BLOCK = 2**22  # probabilities that are copied at once: 32 MB in double precision


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageScores:
    """What a model's probabilities say of each image, every array (images,).

    Attributes:
        labels: true class.
        predicted: most probable class.
        confidence: probability of that class, in [0, 1].
        ranks: of the true class, as `ranks_of` counts them.
        loss: as `losses` computes it, nats.
    """

    labels: Indices
    predicted: Indices
    confidence: Doubles
    ranks: Indices
    loss: Doubles

    @property
    def is_correct(self) -> Flags:
        """Whether the most probable class is the true one."""
        return self.predicted == self.labels


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
    images = score_images(probabilities, labels, len(class_names))
    count, num_classes = len(images.labels), len(class_names)
    k = max(1, min(5, num_classes - 1)) if top_k is None else max(1, min(top_k, num_classes))

    # Scores of each class, and their means over the classes that have images.
    counts = ClassCounts.of(images.labels, images.predicted, num_classes)
    macro, weighted = counts.means(is_weighted=False), counts.means(is_weighted=True)
    confusions = Confusions(images.labels, images.predicted, num_classes)
    matrix = confusions.matrix()

    # Shares of images, and intervals.
    correct, in_top_k = int((images.ranks == 0).sum()), int((images.ranks < k).sum())
    intervals = _bootstrap_intervals(images, num_classes, seed)
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
        log_loss=float(images.loss.mean()),
        log_loss_interval=intervals["log_loss"],
        ece=calibration_error(images.confidence, images.is_correct),
        classes=counts.records(class_names),
        confusion_matrix=matrix,
        confusion_cells=() if matrix is not None else confusions.cells(),
        confused=confusions.most_frequent(class_names),
    )


def score_images(probabilities: ArrayLike, labels: ArrayLike, num_classes: int) -> ImageScores:
    """Score each image; its probabilities are divided by their sum first, in double precision.

    Args:
        probabilities: (images, classes), rows that sum to 1.
        labels: (images,) true classes.
        num_classes: number of classes.

    Raises:
        UserError: there are no images, or probabilities are not finite.
        ValueError: shapes, labels or values that no classifier gives.
    """
    rows, classes = np.asarray(probabilities), np.asarray(labels, np.intp)
    if not len(classes):
        raise UserError("no labelled images to evaluate on", "give a folder with at least one readable image")
    if rows.shape != (len(classes), num_classes):
        raise ValueError(f"probabilities have shape {rows.shape}, expected {(len(classes), num_classes)}")
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(f"labels must lie in [0, {num_classes - 1}], got {classes.min()} to {classes.max()}")
    num_broken = sum(int((~np.isfinite(rows[block]).all(1)).sum()) for block in blocks(*rows.shape))
    if num_broken:
        raise UserError(
            f"the model's probabilities are not finite for {num_broken:,} of {len(classes):,} images",
            "its training diverged: train it again with a lower --learning-rate",
        )
    scored = [_score_block(rows[block], classes[block]) for block in blocks(*rows.shape)]
    predicted, confidence, ranks, loss = (np.concatenate(values) for values in zip(*scored, strict=True))
    return ImageScores(labels=classes, predicted=predicted, confidence=confidence, ranks=ranks, loss=loss)


def blocks(num_images: int, num_classes: int) -> Iterator[slice]:
    """Slices of images, in order, with at most `BLOCK` probabilities each, and at least one image."""
    size = max(1, BLOCK // num_classes)
    for start in range(0, num_images, size):
        yield slice(start, start + size)


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


def calibration_error(confidence: Doubles, is_correct: Flags) -> float:
    """Expected calibration error in [0, 1], with 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    It has no interval: random gaps only ever add to it, a resample adds them twice, and a percentile interval of few
    images lies wholly above the estimate.

    Args:
        confidence: (images,) probability of the most probable class, in [0, 1].
        is_correct: (images,) whether that class is the true one.
    """
    sums = np.bincount(bins_of(confidence), weights=is_correct - confidence, minlength=BINS)
    return float(np.abs(sums).sum() / len(confidence))


def bins_of(confidence: Doubles | Probabilities) -> Indices:
    """(images,) the bin of each confidence in the calibration error: bin m of M holds those in (m / M, (m + 1) / M]."""
    return np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)


def _score_block(probabilities: Doubles, labels: Indices) -> tuple[Indices, Doubles, Indices, Doubles]:
    rows = np.asarray(probabilities, np.float64)
    sums = rows.sum(1, keepdims=True)
    # Rows of a softmax in half precision differ from 1 by up to about 0.01; a larger difference is an error.
    if rows.min() < 0 or np.abs(sums - 1).max() > 0.02:
        raise ValueError("probabilities must not be negative, and their rows must sum to 1")
    rows = rows / sums
    return rows.argmax(1), rows.max(1), ranks_of(rows, labels), losses(rows, labels)


def _bootstrap_intervals(images: ImageScores, num_classes: int, seed: int) -> dict[str, Interval]:
    """Percentile intervals of the scores that are not shares of images, all from the same resamples."""
    labels, is_correct = images.labels, images.is_correct
    correct_labels = labels[is_correct]
    values: dict[str, list[float]] = {"balanced_accuracy": [], "macro_f1": [], "log_loss": []}
    for counts in resamples(len(labels), seed):
        support = np.bincount(labels, counts, num_classes)
        predictions = np.bincount(images.predicted, counts, num_classes)
        correct = np.bincount(correct_labels, counts[is_correct], num_classes)
        present = support > 0
        values["balanced_accuracy"].append(float((correct[present] / support[present]).mean()))
        values["macro_f1"].append(float((2 * correct[present] / (support + predictions)[present]).mean()))
        values["log_loss"].append(float(counts @ images.loss) / len(labels))
    return {score: percentile_interval(np.array(resampled)) for score, resampled in values.items()}
