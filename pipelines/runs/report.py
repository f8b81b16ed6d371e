"""What a judgement says, as plain records: no numpy, so that pages and manifests read it for free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How one class fared.

    Attributes:
        name: of the class.
        precision: share of right ones among the images called so; 0 when no image was; None without images.
        recall: share found among the images of the class; None without images.
        f1: harmonic mean of the two; None without images.
        support: images of the class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """One pair of classes that was confused.

    Attributes:
        label: the right class.
        predicted: what the model said.
        count: images.
        share: of the images of the right class, in (0, 1].
    """

    label: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A mean difference of two models on the same images, with its 95 % interval.

    Attributes:
        value: mean of the first less mean of the second.
        interval: percentile bootstrap over images.
    """

    value: float
    interval: Interval

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How good a model is on some images.

    Every mean over classes ("macro", "balanced") goes over the classes that have images here; classes without
    images have no scores. `*_interval` is a 95 % interval (low, high): Wilson's for shares of images (accuracy,
    top-k), percentile bootstrap over images for balanced accuracy, macro F1 and log-loss.

    Attributes:
        images: how many were judged.
        accuracy: share of images whose most probable class is right.
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
        log_loss: mean of -log(probability of the right class), nats.
        log_loss_interval: of it.
        ece: expected calibration error in [0, 1], 15 equal-width bins.
        classes: one score a class, in the run's order.
        confusion_matrix: images by right class (rows) and predicted class (columns).
        confused: the pairs confused most often, most first.
    """

    images: int
    accuracy: float
    accuracy_interval: Interval
    balanced_accuracy: float
    balanced_accuracy_interval: Interval
    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_f1_interval: Interval
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    top_k: int
    top_k_accuracy: float
    top_k_accuracy_interval: Interval
    log_loss: float
    log_loss_interval: Interval
    ece: float
    classes: tuple[ClassScore, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    confused: tuple[Confusion, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the run's order."""
        return tuple(each.name for each in self.classes)

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints and `run.json` keeps: dicts, lists, strings, finite numbers and None."""
        values = asdict(self)
        lists = {key: list(value) for key, value in values.items() if isinstance(value, tuple)}
        return values | lists | {"confusion_matrix": [list(row) for row in self.confusion_matrix]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Report:
        """The report that `to_json` gave these values."""
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list | tuple)}
        records = {
            "classes": tuple(ClassScore(**each) for each in values["classes"]),
            "confusion_matrix": tuple(tuple(row) for row in values["confusion_matrix"]),
            "confused": tuple(Confusion(**each) for each in values["confused"]),
        }
        return cls(**{**values, **lists, **records})
