"""Scores each class: precision, recall and F1, and their means, as scikit-learn defines them.

Written out, because scikit-learn's import takes a second of every training and evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Doubles, Indices
from pipelines.runs.report import ClassScore


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassCounts:
    """How many images each class has, every array (classes,).

    Attributes:
        support: images of the class.
        predicted: images that are predicted to be of it.
        correct: images of it that are predicted to be of it.
    """

    support: Indices
    predicted: Indices
    correct: Indices

    @classmethod
    def of(cls, labels: Indices, predicted: Indices, num_classes: int) -> ClassCounts:
        """Count.

        Args:
            labels: (images,) true classes.
            predicted: (images,) most probable classes.
            num_classes: number of classes.
        """
        return cls(
            support=np.bincount(labels, minlength=num_classes),
            predicted=np.bincount(predicted, minlength=num_classes),
            correct=np.bincount(labels[predicted == labels], minlength=num_classes),
        )

    def scores(self) -> tuple[Doubles, Doubles, Doubles]:
        """Precision, recall and F1 in [0, 1], (classes,) each; 0 where nothing would be divided by nothing."""
        precision, recall = _share(self.correct, self.predicted), _share(self.correct, self.support)
        return precision, recall, _share(2 * self.correct, self.support + self.predicted)

    def means(self, *, is_weighted: bool) -> tuple[float, float, float]:
        """Precision, recall and F1 averaged over the classes that have images; weighted: by their images."""
        present = self.support > 0
        weights = self.support[present] if is_weighted else None
        precision, recall, f1 = (float(np.average(score[present], weights=weights)) for score in self.scores())
        return precision, recall, f1

    def records(self, class_names: Sequence[str]) -> tuple[ClassScore, ...]:
        """A record for each class; a class without images has no scores."""
        columns = zip(class_names, *self.scores(), self.support, strict=True)
        return tuple(
            ClassScore(
                name=name,
                precision=float(precision) if support else None,
                recall=float(recall) if support else None,
                f1=float(f1) if support else None,
                support=int(support),
            )
            for name, precision, recall, f1, support in columns
        )


def _share(part: Indices, whole: Indices) -> Doubles:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
