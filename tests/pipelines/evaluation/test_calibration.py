"""Temperature scaling: finds a known temperature, and is kept only where it helps on other images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

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


def test_the_best_temperature_minimises_the_loss() -> None:
    probabilities, labels = drawn(300, sharpness=3.0, seed=2)
    logs = np.log(probabilities)

    def loss(temperature: float) -> float:
        scaled = softmax_by_hand(logs / temperature)
        return float(-np.log(scaled[np.arange(300), labels]).mean())

    expected = minimize_scalar(loss, bounds=(0.5, 10), method="bounded", options={"xatol": 1e-6}).x
    assert best_temperature(logs, labels) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 3.0, 20.0])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    probabilities, _ = drawn(50, sharpness=2.0)
    expected = softmax_by_hand(np.log(probabilities) / temperature)
    np.testing.assert_allclose(apply_temperature(probabilities, temperature), expected, rtol=0, atol=1e-12)


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
