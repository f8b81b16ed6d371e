"""Counts which classes are confused, without a matrix of all classes unless they are few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.arrays import Indices
from pipelines.runs.report import DENSE_CLASSES, Confusion

MOST_CONFUSED = 10  # pairs in a report


class Confusions:
    """The cells of a confusion matrix that are not zero: at most one an image.

    scikit-learn's `confusion_matrix` allocates all cells: 800 MB of 10,000 classes.
    """

    def __init__(self, labels: Indices, predicted: Indices, num_classes: int) -> None:
        """Count the images of each pair of a true and a predicted class.

        Args:
            labels: (images,) true classes.
            predicted: (images,) predicted classes.
            num_classes: number of classes.
        """
        self._num_classes = num_classes
        self._support = np.bincount(labels, minlength=num_classes)
        # A pair is one number, its place in the matrix row by row.
        places, self._counts = np.unique(labels * num_classes + predicted, return_counts=True)
        self._labels, self._predicted = np.divmod(places, num_classes)

    def matrix(self) -> tuple[tuple[int, ...], ...] | None:
        """Images by true class (rows) and predicted class (columns); None for more than `DENSE_CLASSES` classes."""
        if self._num_classes > DENSE_CLASSES:
            return None
        cells = np.zeros((self._num_classes, self._num_classes), np.intp)
        cells[self._labels, self._predicted] = self._counts
        return tuple(tuple(row) for row in cells.tolist())

    def cells(self) -> tuple[tuple[int, int, int], ...]:
        """(true class, predicted class, images) of each cell that is not zero, row by row."""
        columns = (self._labels, self._predicted, self._counts)
        return tuple(zip(*(column.tolist() for column in columns), strict=True))

    def most_frequent(self, class_names: Sequence[str]) -> tuple[Confusion, ...]:
        """The wrong predictions that are most frequent; of equally frequent ones the first row by row."""
        is_wrong = self._labels != self._predicted
        labels, predicted, counts = (values[is_wrong] for values in (self._labels, self._predicted, self._counts))
        return tuple(
            Confusion(
                label=class_names[labels[place]],
                predicted=class_names[predicted[place]],
                count=int(counts[place]),
                share=float(counts[place] / self._support[labels[place]]),
            )
            for place in np.argsort(-counts, kind="stable")[:MOST_CONFUSED]
        )
