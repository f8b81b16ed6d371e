"""Scores agree with scikit-learn and with cases worked out by hand; intervals cover as often as they should."""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from models.errors import UserError
from pipelines.evaluation.metrics import calibration_error, losses, ranks_of, report


def drawn(count: int, num_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are better than chance, and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, count)
    logits = generator.normal(size=(count, num_classes))
    logits[np.arange(count), labels] += 1.5
    raised = np.exp(logits)
    return raised / raised.sum(1, keepdims=True), labels


def names(count: int) -> list[str]:
    return [f"class{number}" for number in range(count)]


@pytest.mark.parametrize("num_classes", [2, 3, 20])
def test_scores_equal_those_of_scikit_learn(num_classes: int) -> None:
    probabilities, labels = drawn(400, num_classes)
    scores = report(probabilities, labels, names(num_classes))
    predicted = probabilities.argmax(1)
    assert scores.accuracy == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert scores.balanced_accuracy == pytest.approx(sklearn_metrics.balanced_accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    assert scores.weighted_f1 == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="weighted"))
    assert scores.weighted_recall == pytest.approx(scores.accuracy)
    assert scores.log_loss == pytest.approx(sklearn_metrics.log_loss(labels, probabilities))
    assert scores.top_k == min(5, num_classes - 1)
    if num_classes > 2:
        expected = sklearn_metrics.top_k_accuracy_score(labels, probabilities, k=scores.top_k)
        assert scores.top_k_accuracy == pytest.approx(expected)
    np.testing.assert_array_equal(scores.confusion_matrix or (), sklearn_metrics.confusion_matrix(labels, predicted))


def test_log_loss_of_single_precision_keeps_small_probabilities() -> None:
    # scikit-learn clips single-precision probabilities at 1.2e-7 and would give half of this.
    small = np.array([[1e-14, 1.0]], np.float32)
    assert report(small, [0], names(2)).log_loss == pytest.approx(-math.log(1e-14), rel=1e-4)
    assert math.isfinite(report([[0.0, 1.0]], [0], names(2)).log_loss)


def test_losses_of_several_models_are_those_of_each() -> None:
    stacked = np.stack([drawn(20, 3, seed=seed)[0] for seed in (0, 1)])
    labels = np.arange(20) % 3
    expected = [[-math.log(model[image, labels[image]]) for image in range(20)] for model in stacked]
    np.testing.assert_allclose(losses(stacked, labels), expected, rtol=1e-12)
    assert losses(stacked.astype(np.float32), labels).dtype == np.float64


def test_calibration_error_by_hand() -> None:
    # Bin (14/15, 1]: two images at 0.95, one right -> gap |1 - 1.9| = 0.9; bin (8/15, 9/15]: one at 0.6, right -> 0.4.
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.3, 0.7]])
    labels = np.array([0, 1, 0, 0])
    # Bin (10/15, 11/15]: one image at 0.7, wrong -> 0.7.
    assert calibration_error(probabilities.max(1), probabilities.argmax(1) == labels) == pytest.approx(
        (0.9 + 0.4 + 0.7) / 4
    )


def test_correct_and_certain_predictions_are_calibrated() -> None:
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0.0


def test_ties_go_to_the_lower_index_as_in_argmax() -> None:
    probabilities = np.full((3, 3), 1 / 3)
    assert list(ranks_of(probabilities, np.arange(3))) == [0, 1, 2]
    scores = report(probabilities, [0, 1, 2], names(3), top_k=1)
    assert scores.top_k_accuracy == scores.accuracy == pytest.approx(1 / 3)


@pytest.mark.filterwarnings("error")
def test_means_are_over_the_classes_that_have_images() -> None:
    # Class 2 has no image but is predicted once; class 3 is neither.
    probabilities = np.eye(4)[[0, 0, 1, 2]]
    scores = report(probabilities, [0, 0, 1, 1], names(4))
    assert scores.balanced_accuracy == pytest.approx((1.0 + 0.5) / 2)
    assert scores.macro_precision == pytest.approx(1.0)
    assert scores.macro_f1 == pytest.approx((1.0 + 2 / 3) / 2)
    assert [score.support for score in scores.classes] == [2, 2, 0, 0]
    assert scores.classes[2].precision is None
    assert scores.classes[3].f1 is None
    low, high = scores.macro_f1_interval
    assert low <= scores.macro_f1 <= high


@pytest.mark.filterwarnings("error")
def test_one_image_and_one_class() -> None:
    scores = report([[0.25, 0.75]], [1], names(2))
    assert (scores.accuracy, scores.macro_f1, scores.images) == (1.0, 1.0, 1)
    assert scores.accuracy_interval[0] < 0.25
    assert report([[1.0]], [0], ["only"]).top_k == 1


def test_a_class_never_predicted_counts_as_zero() -> None:
    scores = report(np.eye(2)[[0, 0, 0]], [0, 1, 1], names(2))
    assert scores.classes[1].precision == 0.0
    assert scores.macro_f1 == pytest.approx(0.25)


def test_bootstrap_interval_of_a_mean_equals_the_normal_approximation() -> None:
    probabilities, labels = drawn(2000, 4)
    scores = report(probabilities, labels, names(4))
    loss = losses(probabilities, labels)
    half = 1.96 * loss.std() / math.sqrt(len(loss))
    low, high = scores.log_loss_interval
    assert low == pytest.approx(scores.log_loss - half, abs=0.25 * half)
    assert high == pytest.approx(scores.log_loss + half, abs=0.25 * half)


def test_macro_f1_interval_covers_the_population_value_as_often_as_it_should() -> None:
    population, population_labels = drawn(100_000, 3, seed=1)
    expected = sklearn_metrics.f1_score(population_labels, population.argmax(1), average="macro")
    covered = 0
    for trial in range(60):
        probabilities, labels = drawn(150, 3, seed=100 + trial)
        low, high = report(probabilities, labels, names(3)).macro_f1_interval
        covered += low <= expected <= high
    # 95 % of 60 is 57; fewer than 50 would happen once in ten thousand.
    assert covered >= 50


def test_intervals_are_reproducible_and_seeded() -> None:
    probabilities, labels = drawn(100, 3)
    first = report(probabilities, labels, names(3))
    assert first == report(probabilities, labels, names(3))
    assert first.macro_f1_interval != report(probabilities, labels, names(3), seed=1).macro_f1_interval


def test_ten_thousand_images_take_less_than_a_second() -> None:
    probabilities, labels = drawn(10_000, 10)
    began = time.process_time()
    report(probabilities, labels, names(10))
    assert time.process_time() - began < 1.0


def test_most_confused_pairs_come_first() -> None:
    labels = [0] * 5 + [1] * 3
    predicted = [0, 1, 1, 2, 0, 2, 1, 1]
    scores = report(np.eye(3)[predicted], labels, ["a", "b", "c"])
    assert [(confusion.label, confusion.predicted, confusion.count) for confusion in scores.confused] == [
        ("a", "b", 2),
        ("a", "c", 1),
        ("b", "c", 1),
    ]
    assert scores.confused[0].share == pytest.approx(0.4)


def test_scores_in_small_blocks_of_images_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = drawn(101, 6)
    single = probabilities.astype(np.float32)
    whole = report(single, labels, names(6))
    monkeypatch.setattr("pipelines.evaluation.metrics.BLOCK", 6 * 7)
    assert report(single, labels, names(6)) == whole
    single[100, 0] = np.nan
    with pytest.raises(UserError, match="1 of 101 images"):
        report(single, labels, names(6))


def test_thousands_of_classes_are_scored_without_a_copy_of_their_probabilities() -> None:
    num_classes, labels = 4000, np.arange(2000)
    probabilities = np.full((2000, num_classes), 0.5 / (num_classes - 1), np.float32)
    probabilities[labels, labels] = 0.5
    tracemalloc.start()
    try:
        scores = report(probabilities, labels, names(num_classes))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 32e6, "a matrix of the classes has 128 MB, and a copy in double precision 64 MB"
    assert (scores.accuracy, scores.confusion_matrix) == (1.0, None)
    assert scores.confusion_cells[:2] == ((0, 0, 1), (1, 1, 1))


def test_no_images_is_an_error() -> None:
    with pytest.raises(UserError, match="no labelled images"):
        report(np.zeros((0, 3)), [], names(3))


def test_probabilities_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(UserError, match="1 of 2 images"):
        report([[np.nan, 0.5], [0.5, 0.5]], [0, 1], names(2))


@pytest.mark.parametrize("probabilities", [[[2.0, 3.0]], [[-0.5, 1.5]], [[0.5, 0.25]]])
def test_logits_are_refused(probabilities: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        report(probabilities, [0], names(2))


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="labels must lie"):
        report([[0.5, 0.5]], [2], names(2))
