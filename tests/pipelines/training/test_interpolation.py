"""Interpolating between frozen and fine-tuned weights: where the way leads, and which share of it is kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.evaluation.predictions import Predictions
from pipelines.fitting.checkpoint import StageProgress
from pipelines.training import fine_tune as module
from pipelines.training.fine_tune import fine_tune
from pipelines.training.interpolation import SHARES, choose_share, interpolate
from pipelines.training.pixel_stage import predict_parts
from pipelines.training.plan import TrainingHead
from tests.pipelines.training.prepared import Prepare


def weights_with(slope: float) -> list[np.ndarray]:
    """Of the model below."""
    return [np.array([[slope]], np.float32), np.zeros(1, np.float32)]


def line(slope: float) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.set_weights(weights_with(slope))
    return model


def test_weights_go_straight_from_the_first_to_the_last() -> None:
    start = [np.array([1, 2], np.float32), np.array([[8]], np.float32)]
    tuned = [np.array([2, 0], np.float32), np.array([[0.1]], np.float32)]
    halfway = interpolate(start, tuned, 0.5)
    np.testing.assert_allclose(halfway[0], [1.5, 1.0])
    np.testing.assert_allclose(halfway[1], [[4.05]])
    for weight, last in zip(interpolate(start, tuned, 1.0), tuned, strict=True):
        np.testing.assert_array_equal(weight, last)


@pytest.mark.parametrize("best", SHARES)
def test_the_share_with_the_least_loss_is_kept(best: float) -> None:
    # The weight goes from 10 to 20; what it predicts is right for more images, the nearer it is to the best share.
    model = line(10)
    labels = np.tile([0, 1], 100).astype(np.int32)

    def predict() -> Predictions:
        share = (float(model.get_weights()[0][0, 0]) - 10) / 10
        is_right = np.arange(200) % 100 < 95 - 50 * abs(share - best)
        answers = np.where(is_right, labels, 1 - labels)
        return np.where(answers[:, None] == [0, 1], 0.8, 0.2).astype(np.float32), labels

    chosen = choose_share(model, weights_with(10), weights_with(20), predict)
    assert chosen.share == best
    assert model.get_weights()[0][0, 0] == pytest.approx(10 + 10 * best)
    assert chosen.temperature >= 1.0


def test_weights_that_predict_no_number_are_passed_over() -> None:
    model = line(1)

    def predict() -> Predictions:
        value = 0.5 if model.get_weights()[0][0, 0] < 2.9 else np.nan
        return np.full((4, 2), value, np.float32), np.zeros(4, np.int32)

    chosen = choose_share(model, weights_with(1), weights_with(3), predict)
    assert chosen.share < 1


def test_what_validation_images_add_to_the_head_is_in_the_model_and_not_in_its_validation_scores(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, frozen = prepared(fine_tune="1", learning_rate=0.03, epochs=4)
    head = frozen.model.get_layer("head")
    of_training = [np.array(weight) for weight in head.get_weights()]
    frozen.training_head = TrainingHead(weights=of_training, predictions=frozen.predictions["validation"])
    added = [np.random.default_rng(0).normal(0, 0.3, weight.shape).astype(np.float32) for weight in of_training]
    head.set_weights([weight + more for weight, more in zip(of_training, added, strict=True)])
    tuned = fine_tune(plan, frozen)
    record = tuned.stages[-1]
    assert record.kept and record.temperature is not None
    np.testing.assert_array_equal(predict_parts(plan, tuned.model, 32)["test"][0], tuned.predictions["test"][0])
    head = tuned.model.get_layer("head")
    head.set_weights(
        [weight - more / record.temperature for weight, more in zip(head.get_weights(), added, strict=True)]
    )
    without, _ = predict_parts(plan, tuned.model, 32)["validation"]
    np.testing.assert_allclose(without, tuned.predictions["validation"][0], atol=1e-4)


def test_a_frozen_model_that_is_better_keeps_the_head_that_all_images_fitted(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, frozen = prepared()
    head = frozen.model.get_layer("head")
    start = [np.array(weight) for weight in head.get_weights()]
    frozen.training_head = TrainingHead(weights=start, predictions=frozen.predictions["validation"])
    of_all = [weight + 0.25 for weight in start]
    head.set_weights(of_all)

    def not_trained(*_: Any, **__: Any) -> StageProgress:  # those of `_fit`
        np.testing.assert_array_equal(head.get_weights()[0], start[0])
        return StageProgress(best_epoch=0)

    monkeypatch.setattr(module, "_fit", not_trained)
    kept = fine_tune(plan, frozen)
    assert kept.stages[-1].kept is False and kept.stages[-1].share is None
    for weight, expected in zip(kept.model.get_layer("head").get_weights(), of_all, strict=True):
        np.testing.assert_array_equal(weight, expected)
