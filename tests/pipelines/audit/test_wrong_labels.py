"""Confident learning as Northcutt et al. 2021 define it, by a case worked by hand and by planted labels."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.audit.wrong_labels import class_shares, doubt_labels, wrong_counts

# Class 0: 0.9, 0.8, 0.1 of itself, mean 0.6; class 1: 0.9, 0.7, mean 0.8.
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.3, 0.7]], np.float32)
LABELS = np.array([0, 0, 0, 1, 1], np.int32)


def test_the_joint_counts_of_a_case_by_hand() -> None:
    # Claims: image 0 and 1 by class 0, image 2 by class 1 (0.9 >= 0.8), image 3 by class 1; 4 (0.7, 0.3) by none.
    # Row 0: 2 and 1 of 3 images; row 1: 0 and 1, scaled to its 2 images.
    assert wrong_counts(PROBABILITIES.astype(float), LABELS) == pytest.approx(np.array([[2, 1], [0, 2]]))


def test_the_label_that_is_wrong_in_a_case_by_hand() -> None:
    doubts = doubt_labels(PROBABILITIES, LABELS)
    assert doubts.is_wrong.tolist() == [False, False, True, False, False]
    assert doubts.proposed.tolist() == [1, 1, 1, 0, 0]
    assert doubts.doubt == pytest.approx([0.1, 0.2, 0.9, 0.1, 0.3], abs=1e-6)


def test_a_class_without_images_claims_none() -> None:
    probabilities = np.hstack([PROBABILITIES, np.full((5, 1), 0.99)]).astype(np.float32)
    counts = wrong_counts(probabilities.astype(float), LABELS)
    assert counts[:, 2].tolist() == [0, 0, 0]
    assert counts.sum(1).tolist() == [3, 2, 0]


@pytest.mark.parametrize("num_classes", [2, 10])
def test_planted_labels_are_found(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    truth = rng.integers(0, num_classes, 2000)
    logits = rng.normal(size=(2000, num_classes)) + 4 * np.eye(num_classes)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    is_flipped = rng.random(2000) < 0.05
    labels = np.where(is_flipped, (truth + rng.integers(1, num_classes, 2000)) % num_classes, truth).astype(np.int32)
    doubts = doubt_labels(probabilities.astype(np.float32), labels)
    assert is_flipped[doubts.is_wrong].mean() > 0.8
    assert doubts.is_wrong[is_flipped].mean() > 0.8
    assert (doubts.proposed[is_flipped & doubts.is_wrong] == truth[is_flipped & doubts.is_wrong]).mean() > 0.95


def test_shares_of_neighbours_by_hand() -> None:
    shares = class_shares(np.array([[1, 2], [0, 2], [0, 1]]), np.array([0, 1, 1], np.int32), 3)
    assert shares.tolist() == [[0, 1, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]]
