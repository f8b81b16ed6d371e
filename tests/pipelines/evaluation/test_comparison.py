"""Paired comparisons: means, difference and interval by hand, and what each score calls better."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from pipelines.evaluation.comparison import compare_models, compare_scores, fine_tuning_lines, is_worth_keeping
from pipelines.evaluation.intervals import paired_bootstrap


def test_a_comparison_is_paired() -> None:
    labels = np.array([0, 1] * 50, np.int32)
    good, bad = np.full((100, 2), 0.1, np.float32), np.full((100, 2), 0.5, np.float32)
    good[np.arange(100), labels] = 0.9
    comparison = compare_models(good, bad, labels, names=("after", "before"), part="validation")
    assert comparison.log_loss.value == pytest.approx(np.log(0.5) - np.log(0.9))
    assert comparison.log_loss.interval[1] < 0
    assert comparison.accuracy.means[0] == 1.0


def test_both_scores_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 80).astype(np.int32)
    first, second = generator.dirichlet(np.ones(3), (2, 80))
    comparison = compare_models(first, second, labels, names=("a", "b"), part="test")
    losses = tuple(log_loss(labels, probabilities) for probabilities in (first, second))
    accuracies = tuple(accuracy_score(labels, probabilities.argmax(1)) for probabilities in (first, second))
    assert comparison.log_loss.means == pytest.approx(losses, rel=1e-12)
    assert comparison.accuracy.means == pytest.approx(accuracies, rel=1e-12)
    assert comparison.log_loss.value == pytest.approx(losses[0] - losses[1], abs=1e-12)
    assert comparison.accuracy.value == pytest.approx(accuracies[0] - accuracies[1], abs=1e-12)
    for score in (comparison.accuracy, comparison.log_loss):
        assert (score.first, score.second, score.part, score.images) == ("a", "b", "test", 80)
    assert (comparison.accuracy.score, comparison.log_loss.score) == ("accuracy", "log_loss")


def test_the_interval_is_that_of_the_paired_bootstrap() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 50))
    comparison = compare_scores("log_loss", first, second, names=("a", "b"), part="all")
    assert comparison.interval == paired_bootstrap(first, second)


def test_equal_scores_have_no_difference() -> None:
    comparison = compare_scores("accuracy", [1, 0, 1], [1, 0, 1], names=("a", "b"), part="test")
    assert (comparison.value, comparison.interval, comparison.is_clear) == (0.0, (0.0, 0.0), False)


def test_fifteen_more_correct_images_are_a_clear_difference() -> None:
    worse = np.random.default_rng(0).random(500) < 0.8
    better = worse.copy()
    better[np.flatnonzero(~worse)[:15]] = True
    comparison = compare_scores("accuracy", better, worse, names=("better", "worse"), part="test")
    assert comparison.value == pytest.approx(15 / 500)
    assert comparison.is_clear
    assert 0 < comparison.interval[0] < comparison.value < comparison.interval[1]


def test_scores_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        compare_scores("accuracy", [1, 0], [1, 0, 1], names=("a", "b"), part="test")


def test_the_line_of_a_fine_tuning_shows_both_models_and_which_is_kept() -> None:
    labels = np.zeros(4, np.int32)
    fine_tuned = np.array([[0.8, 0.2]] * 4, np.float32)
    frozen = np.array([[0.4, 0.6]] * 4, np.float32)
    names = ("fine-tuned", "frozen")
    validation, test = (
        compare_models(fine_tuned, frozen, labels, names=names, part=part) for part in ("validation", "test")
    )
    # -log(0.4) = 0.9163, -log(0.8) = 0.2231: every image has the same difference, so the interval has no width.
    scores = (
        "0.9163 frozen, 0.2231 fine-tuned (-0.6931, 95% interval -0.6931 to -0.6931); accuracy 0.0% and 100.0% (+100.0 "
        "points, +100.0 to +100.0)"
    )
    kept, on_test = fine_tuning_lines({"validation": validation, "test": test}, is_kept=True)
    assert kept.startswith(f"fine-tuning: calibrated validation loss {scores}: the fine-tuned model is kept; ")
    # Its epoch is the one of the least loss on these images.
    assert kept.endswith("these images chose its epoch, so the gain is somewhat too good")
    assert on_test == f"fine-tuning, on images that chose nothing: calibrated test loss {scores}"
    (line,) = fine_tuning_lines({"validation": validation}, is_kept=False)
    assert "the frozen model is kept" in line


def probabilities_with(losses: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Of two classes, the first of which is right with these losses, all below log 2: every answer is correct."""
    right = np.exp(-np.array(losses))
    return np.stack([right, 1 - right], axis=1), np.zeros(len(losses), np.int32)


@pytest.mark.parametrize(("gains", "is_kept"), [([0.1] * 8, True), ([0.2, -0.1] * 4, False), ([0.2, 0.0] * 4, True)])
def test_a_gain_within_its_standard_error_does_not_keep_the_fine_tuned_model(
    gains: list[float], *, is_kept: bool
) -> None:
    # Gains of 0.2 and -0.1: mean 0.05, standard error 0.15 / sqrt(8) = 0.053. Of 0.2 and 0: 0.1 and 0.035.
    before, labels = probabilities_with([0.4] * 8)
    after, _ = probabilities_with([0.4 - gain for gain in gains])
    compared = compare_models(after, before, labels, names=("fine-tuned", "frozen"), part="validation")
    assert compared.first_is_better
    assert is_worth_keeping(compared) is is_kept
    line = fine_tuning_lines({"validation": compared}, is_kept=is_kept)[0]
    assert ("within its standard error" in line) is not is_kept


def test_a_worse_model_is_never_kept() -> None:
    before, labels = probabilities_with([0.3] * 8)
    after, _ = probabilities_with([0.4] * 8)
    assert not is_worth_keeping(compare_models(after, before, labels, names=("new", "old"), part="validation"))
