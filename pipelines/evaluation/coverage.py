"""Measures how often the sets of `pipelines.evaluation.conformal` hold the true class, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from models.arrays import Labels, Probabilities
from pipelines.evaluation.conformal import SetRule
from pipelines.evaluation.intervals import wilson
from pipelines.runs.report import Interval, Json
from pipelines.system.text import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCoverage:
    """Coverage of one class: `value` is a share in [0, 1], with its 95 % interval; None where it has no images."""

    name: str
    images: int
    value: float | None
    interval: Interval | None
    mean_size: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often sets hold the true class.

    Attributes:
        rule: that made the sets.
        images: number of labelled images.
        value: share of them whose set holds the true class, in [0, 1].
        interval: of it, Wilson's at 95 %.
        mean_size: mean number of classes of a set, at least 1.
        classes: the same for each class of the run, in its order.
    """

    rule: SetRule
    images: int
    value: float
    interval: Interval
    mean_size: float
    classes: tuple[ClassCoverage, ...]

    @property
    def line(self) -> str:
        """One line for people."""
        low, high = self.interval
        known = [score for score in self.classes if score.value is not None]
        worst = min(known, key=lambda score: score.value or 0.0)
        return (
            f"sets for a coverage of {self.rule.coverage:g}: {self.value:.3f} ({low:.3f} .. {high:.3f}) of "
            f"{counted(self.images, 'image')} are covered, {self.mean_size:.2f} classes a set; least covered "
            f"`{worst.name}`, {worst.value:.3f} of {worst.images:,}"
        )

    def to_json(self) -> Json:
        """What `evaluate --json` prints."""
        return asdict(self)


def measure_coverage(
    probabilities: Probabilities, labels: Labels, rule: SetRule, class_names: Sequence[str]
) -> Coverage:
    """Count how often the sets of labelled images hold the true class, and how large they are.

    Args:
        probabilities: (images, classes), at least one image.
        labels: (images,) true classes.
        rule: of the sets.
        class_names: (classes,).
    """
    held = rule.holds(probabilities)
    covered, sizes = held[np.arange(len(labels)), labels], held.sum(1)
    classes = []
    for column, name in enumerate(class_names):
        own = labels == column
        count = int(own.sum())
        classes.append(
            ClassCoverage(
                name=name,
                images=count,
                value=float(covered[own].mean()) if count else None,
                interval=wilson(int(covered[own].sum()), count) if count else None,
                mean_size=float(sizes[own].mean()) if count else None,
            )
        )
    return Coverage(
        rule=rule,
        images=len(labels),
        value=float(covered.mean()),
        interval=wilson(int(covered.sum()), len(labels)),
        mean_size=float(sizes.mean()),
        classes=tuple(classes),
    )
