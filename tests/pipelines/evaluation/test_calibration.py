"""Temperature scaling: finds a known temperature, and is kept only where it helps on other images."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from pipelines.evaluation.calibration import (
    apply_temperature,
    best_temperature,
    calibrate,
    fit_cooling,
    fit_temperature,
)
from pipelines.evaluation.metrics import losses


def drawn(images: int, classes: int = 4, seed: int = 0, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (images, classes) and labels; with `sharpness` 1 they are calibrated."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(images) % classes)
    logits = generator.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1.0
    return softmax_by_hand(sharpness * logits), labels


def softmax_by_hand(logits: np.ndarray) -> np.ndarray:
    """exp(x - max) / sum, along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_a_known_temperature_is_found() -> None:
    probabilities, labels = drawn(4000, sharpness=2.5)
    assert fit_temperature(probabilities, labels) == pytest.approx(2.5, rel=0.1)


def test_a_temperature_that_does_not_help_is_not_kept() -> None:
    kept = [fit_temperature(*drawn(60, seed=seed)) is not None for seed in range(40)]
    # Calibrated predictions: fitted and evaluated on the same 60 images, each of these 40 would have been kept.
    assert sum(kept) < 20
    assert fit_temperature(*drawn(8)) is None


def log_loss_at(logs: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Mean log-loss of softmax(logs / temperature)."""
    return float(-np.log(softmax_by_hand(logs / temperature)[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize(("images", "sharpness"), [(20, 3.0), (300, 3.0), (300, 0.4)])
def test_the_temperature_is_the_most_probable_under_a_gaussian_prior_on_its_logarithm(
    images: int, sharpness: float
) -> None:
    probabilities, labels = drawn(images, sharpness=sharpness, seed=2)
    logs = np.log(probabilities)

    def log_posterior(temperature: float) -> float:
        return -images * log_loss_at(logs, labels, temperature) + norm.logpdf(np.log(temperature), scale=0.5)

    grid = np.geomspace(0.1, 10, 2001)
    expected = grid[np.argmax([log_posterior(temperature) for temperature in grid])]
    assert best_temperature(logs, labels) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_thousands_of_images_decide_alone(sharpness: float) -> None:
    probabilities, labels = drawn(4000, sharpness=sharpness, seed=3)
    logs = np.log(probabilities)
    least = minimize_scalar(partial(log_loss_at, logs, labels), bounds=(0.1, 10), method="bounded").x
    assert best_temperature(logs, labels) == pytest.approx(least, rel=0.01)


def test_a_few_images_that_are_all_correct_do_not_make_a_model_certain() -> None:
    # 25 images of 5 classes, all predicted correctly with probability 0.6: the loss falls for ever as T goes to 0.
    probabilities = np.full((25, 5), 0.1)
    probabilities[np.arange(25), np.arange(25) % 5] = 0.6
    temperature = fit_temperature(probabilities, np.arange(25) % 5)
    assert temperature is not None
    # 25 images are no evidence of fewer errors than one in 50.
    assert apply_temperature(probabilities, temperature).max() < 0.98


@pytest.mark.parametrize(("truth", "most"), [(0.5, 0.04), (1.0, 0.03), (2.5, 0.08)])
def test_temperatures_of_25_images_are_close_to_the_truth_in_what_they_cost(truth: float, most: float) -> None:
    generator, costs = np.random.default_rng(4), []
    for _ in range(60):
        logs = generator.normal(scale=4 * truth, size=(25, 3))
        probabilities = softmax_by_hand(logs / truth)
        labels = (probabilities.cumsum(1) > generator.random((25, 1))).argmax(1)
        temperature = best_temperature(logs, labels)
        others = generator.normal(scale=4 * truth, size=(2000, 3))
        expected, scaled = softmax_by_hand(others / truth), softmax_by_hand(others / temperature)
        # Kullback-Leibler divergence: what the fitted temperature costs on images whose probabilities are known.
        costs.append((expected * np.log(expected / np.maximum(scaled, 1e-300))).sum(1).mean())
    assert np.mean(costs) < most


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 3.0, 20.0])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    probabilities, _ = drawn(50, sharpness=2.0)
    expected = softmax_by_hand(np.log(probabilities) / temperature)
    np.testing.assert_allclose(apply_temperature(probabilities, temperature), expected, rtol=0, atol=1e-12)


def test_dividing_block_by_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, _ = drawn(50)
    whole = apply_temperature(probabilities, 2.0)
    monkeypatch.setattr("pipelines.evaluation.metrics.BLOCK", 4 * 7)
    np.testing.assert_array_equal(apply_temperature(probabilities, 2.0), whole)


def test_a_sample_of_very_many_images_finds_the_same_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = drawn(20_000, sharpness=2.5)
    whole = fit_cooling(probabilities, labels)
    sizes: list[int] = []

    def counted(logs: np.ndarray, classes: np.ndarray) -> float:
        sizes.append(len(logs))
        return best_temperature(logs, classes)

    monkeypatch.setattr("pipelines.evaluation.calibration.best_temperature", counted)
    monkeypatch.setattr("pipelines.evaluation.calibration.SAMPLED", 4 * 4000)
    assert fit_cooling(probabilities, labels) == pytest.approx(whole, rel=0.1)
    assert fit_temperature(probabilities, labels) == pytest.approx(whole, rel=0.1)
    assert sizes == [4000, *[3200] * 5, 4000]


def test_cooling_never_sharpens() -> None:
    sharp, labels = drawn(500, sharpness=3.0)
    soft, _ = drawn(500, sharpness=0.3)
    assert fit_cooling(sharp, labels) == pytest.approx(3.0, rel=0.2)
    assert fit_cooling(soft, labels) == 1.0


def test_all_parts_get_the_temperature_of_the_validation_part() -> None:
    validation, labels = drawn(400, sharpness=4.0, seed=1)
    test, test_labels = drawn(30, sharpness=1.0, seed=2)
    scaled = calibrate({"validation": (validation, labels), "test": (test, test_labels)})
    temperature = fit_cooling(validation, labels)
    np.testing.assert_allclose(scaled["test"][0], apply_temperature(test, temperature), rtol=1e-6)
    assert losses(scaled["validation"][0], labels).mean() < losses(validation, labels).mean()
    assert scaled["test"][0].dtype == np.float32
    np.testing.assert_array_equal(scaled["test"][1], test_labels)
