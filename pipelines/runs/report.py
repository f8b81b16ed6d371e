"""Evaluation results as plain dataclasses (no NumPy, so that the command line can read them cheaply)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from pipelines.runs.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt

# A matrix of more classes would be most of run.json: of 1,000 classes 12 MB a part, nearly all of them zeros.
DENSE_CLASSES = 500
Interval: TypeAlias = tuple[float, float]
Score: TypeAlias = Literal["accuracy", "log_loss"]
Json: TypeAlias = dict[str, Any]  # for json.dumps: text, numbers, None, lists and such dicts, nested


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """Scores of one class.

    Attributes:
        name: of the class.
        precision: share of correct ones among the images predicted as this class, in [0, 1]; 0 when there are none;
            None where the class has no images.
        recall: share of correct ones among the images of this class, in [0, 1]; None where it has no images.
        f1: harmonic mean of the two; None where the class has no images.
        support: number of images of this class.
    """

    name: str
    precision: Fraction | None
    recall: Fraction | None
    f1: Fraction | None
    support: NonNegativeInt


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """One off-diagonal cell of the confusion matrix.

    Attributes:
        label: the true class.
        predicted: the predicted class.
        count: images.
        share: of the images of the true class, in (0, 1].
    """

    label: str
    predicted: str
    count: PositiveInt
    share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One score of two models on the same images: its mean for each, and their paired difference.

    Attributes:
        score: `accuracy` (share in [0, 1], higher is better) or `log_loss` (nats, lower is better).
        first: name of one model.
        second: name of the other.
        part: the images: `train`, `validation`, `test` or `all`.
        images: how many.
        means: mean score of the first, and of the second.
        value: the first mean less the second.
        interval: 95 %, of `value`, percentile bootstrap over images drawn in pairs.
    """

    score: Score
    first: str
    second: str
    part: str
    images: NonNegativeInt
    means: tuple[float, float]
    value: float
    interval: Interval

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def first_is_better(self) -> bool:
        """Whether the first model has the better mean, be it by chance."""
        return self.value > 0 if self.score == "accuracy" else self.value < 0

    @property
    def first_is_clearly_better(self) -> bool:
        """Whether the whole interval is on the side where the first model is better."""
        return self.interval[0] > 0 if self.score == "accuracy" else self.interval[1] < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelComparison:
    """Two models on the same images, by accuracy and by log-loss."""

    accuracy: Comparison
    log_loss: Comparison

    @property
    def part(self) -> str:
        """The images: `train`, `validation`, `test` or `all`."""
        return self.accuracy.part

    @property
    def images(self) -> int:
        """How many images."""
        return self.accuracy.images

    @property
    def first_is_better(self) -> bool:
        """Whether to prefer the first model.

        The log-loss decides, unless its interval includes zero and that of the accuracy excludes it.
        """
        if self.accuracy.is_clear and not self.log_loss.is_clear:
            return self.accuracy.first_is_better
        return self.log_loss.first_is_better


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldScore:
    """A score over cross-validation folds.

    Attributes:
        mean: of the folds' scores.
        deviation: standard deviation of the folds' scores (n - 1 degrees of freedom).
        interval: 95 %, of the mean, by Student's t. Folds share training images, so it is somewhat too narrow
            (Bengio and Grandvalet 2004: no unbiased estimate of that variance exists).
    """

    mean: float
    deviation: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Scores of a model on labelled images.

    Every mean over classes ("macro", "balanced") is over the classes that have images here; classes without images
    have no scores. `*_interval` is a 95 % interval (low, high): Wilson's for shares of images (accuracy, top-k),
    percentile bootstrap over images for balanced accuracy, macro F1 and log-loss.

    Attributes:
        images: number of images.
        accuracy: share of images whose most probable class is correct.
        accuracy_interval: of it.
        balanced_accuracy: mean recall.
        balanced_accuracy_interval: of it.
        macro_precision: mean precision.
        macro_recall: the same as balanced accuracy.
        macro_f1: mean F1.
        macro_f1_interval: of it.
        weighted_precision: mean precision, weighted by support.
        weighted_recall: the same as accuracy.
        weighted_f1: mean F1, weighted by support.
        top_k: the k of the next.
        top_k_accuracy: share of images whose class is among the k most probable.
        top_k_accuracy_interval: of it.
        log_loss: mean of -log(probability of the true class), nats.
        log_loss_interval: of it.
        ece: expected calibration error in [0, 1], 15 equal-width bins.
        classes: one score per class, in the run's order.
        confusion_matrix: images by true class (rows) and predicted class (columns); None for more than
            `DENSE_CLASSES` classes.
        confusion_cells: (true class, predicted class, images) of each cell of that matrix that is not zero, where
            `confusion_matrix` is None; classes as places in `classes`.
        confused: the most frequent confusions, most frequent first.
    """

    images: PositiveInt
    accuracy: Fraction
    accuracy_interval: Interval
    balanced_accuracy: Fraction
    balanced_accuracy_interval: Interval
    macro_precision: Fraction
    macro_recall: Fraction
    macro_f1: Fraction
    macro_f1_interval: Interval
    weighted_precision: Fraction
    weighted_recall: Fraction
    weighted_f1: Fraction
    top_k: PositiveInt
    top_k_accuracy: Fraction
    top_k_accuracy_interval: Interval
    log_loss: NonNegativeFloat
    log_loss_interval: Interval
    ece: Fraction
    classes: tuple[ClassScore, ...]
    confusion_matrix: tuple[tuple[NonNegativeInt, ...], ...] | None
    confusion_cells: tuple[tuple[NonNegativeInt, NonNegativeInt, PositiveInt], ...] = ()
    confused: tuple[Confusion, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the run's order."""
        return tuple(score.name for score in self.classes)

    def to_json(self) -> Json:
        """What `--json` prints and `run.json` keeps: dicts, lists, strings, finite numbers and None."""
        values = asdict(self)
        lists = {key: list(value) for key, value in values.items() if isinstance(value, tuple)}
        rows, cells = self.confusion_matrix, self.confusion_cells
        return (
            values
            | lists
            | {
                "confusion_matrix": None if rows is None else [list(row) for row in rows],
                "confusion_cells": [list(cell) for cell in cells],
            }
        )
