"""Scores of classes equal scikit-learn's, also of classes without images and of classes that are never predicted."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from pipelines.evaluation.class_scores import ClassCounts

# Class 3 has no image, class 2 is never predicted, class 4 is neither.
DRAWN = np.random.default_rng(0)
CASES = [
    (np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 3, 0])),
    (DRAWN.integers(5, size=200), DRAWN.integers(5, size=200)),
    (np.array([1]), np.array([0])),
]


@pytest.mark.parametrize(("labels", "predicted"), CASES)
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_means_are_scikit_learns_over_the_classes_that_have_images(
    labels: np.ndarray[tuple[int], np.dtype[np.int64]],
    predicted: np.ndarray[tuple[int], np.dtype[np.int64]],
    average: str,
) -> None:
    expected = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average=average, zero_division=0
    )
    means = ClassCounts.of(labels, predicted, 5).means(is_weighted=average == "weighted")
    assert means == pytest.approx(expected[:3], abs=1e-15)


@pytest.mark.parametrize(("labels", "predicted"), CASES)
def test_records_are_scikit_learns_for_each_class(
    labels: np.ndarray[tuple[int], np.dtype[np.int64]], predicted: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> None:
    expected = np.transpose(precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=0))
    for record, (precision, recall, f1, support) in zip(
        ClassCounts.of(labels, predicted, 5).records("abcde"), expected, strict=True
    ):
        assert record.support == support
        scores = (record.precision, record.recall, record.f1)
        assert scores == ((precision, recall, f1) if support else (None, None, None))
