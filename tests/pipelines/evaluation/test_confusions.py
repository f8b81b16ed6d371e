"""Confusions are those of scikit-learn's matrix, and thousands of classes need no matrix."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from pipelines.evaluation.confusions import Confusions
from pipelines.runs.report import DENSE_CLASSES


def drawn(count: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """True classes, and predicted ones of which half are right."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, num_classes, count)
    return labels, np.where(generator.random(count) < 0.5, labels, generator.integers(0, num_classes, count))


@pytest.mark.parametrize("num_classes", [2, 7, DENSE_CLASSES])
def test_the_matrix_and_the_cells_are_those_of_scikit_learn(num_classes: int) -> None:
    labels, predicted = drawn(300, num_classes)
    expected = confusion_matrix(labels, predicted, labels=range(num_classes))
    confusions = Confusions(labels, predicted, num_classes)
    np.testing.assert_array_equal(confusions.matrix() or (), expected)
    rows, columns = np.nonzero(expected)
    np.testing.assert_array_equal(confusions.cells(), np.stack([rows, columns, expected[rows, columns]], axis=1))


def test_more_classes_have_cells_and_no_matrix() -> None:
    confusions = Confusions(np.array([600, 0, 600]), np.array([600, 3, 600]), DENSE_CLASSES + 101)
    assert confusions.matrix() is None
    assert confusions.cells() == ((0, 3, 1), (600, 600, 2))


def test_the_most_frequent_pairs_are_the_largest_cells_off_the_diagonal() -> None:
    labels, predicted = drawn(400, 9)
    matrix = confusion_matrix(labels, predicted)
    support = matrix.sum(1)
    np.fill_diagonal(matrix, 0)
    names = [f"class {number}" for number in range(9)]
    pairs = Confusions(labels, predicted, 9).most_frequent(names)
    order = np.argsort(-matrix, axis=None, kind="stable")[:10]
    for pair, (row, column) in zip(pairs, zip(*np.unravel_index(order, matrix.shape), strict=True), strict=True):
        assert (pair.label, pair.predicted, pair.count) == (names[row], names[column], matrix[row, column])
        assert pair.share == pytest.approx(matrix[row, column] / support[row])


def test_the_memory_grows_with_the_images_and_not_with_the_square_of_the_classes() -> None:
    labels, predicted = drawn(1000, 100_000)
    tracemalloc.start()
    try:
        cells = Confusions(labels, predicted, 100_000).cells()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(count for _, _, count in cells) == 1000
    assert peak < 20_000_000, "a matrix has 80 GB"
