"""Training a stage: the best epoch, calibration, half precision, averages, and what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.evaluation.predictions import predict_batches
from pipelines.runs.stages import Recipe, Stage
from pipelines.runs.training_records import EpochRecord
from pipelines.system.progress import Silent
from tests.pipelines.fitting.small_network import (
    BATCH,
    NUM_IMAGES,
    ONE_EPOCH,
    STAGE,
    build_network,
    draw_images,
    fit,
    log_loss,
    training_batches,
    validation_batches,
)


def test_the_best_epoch_is_restored(tmp_path: Path) -> None:
    model = build_network()
    stage = Stage(name="fine-tune", unfreeze="all", epochs=5, learning_rate=0.3)
    progress = fit(model, tmp_path, stage=stage)
    loss = log_loss(*predict_batches(model, validation_batches()))
    assert progress.best_epoch < 5, "the rate is meant to be too high for the last epoch to be the best"
    assert loss == pytest.approx(progress.best_loss, rel=1e-5)
    assert loss == pytest.approx(min(record.validation_loss for record in progress.history), abs=2e-4)


def test_an_epoch_with_more_correct_predictions_but_too_confident_is_better_when_calibrated(tmp_path: Path) -> None:
    models = [build_network(dropout=0.0), build_network(dropout=0.0)]
    for model in models:
        last = model.get_layer("probabilities")
        last.set_weights([15 * weight for weight in last.get_weights()])
    plain, calibrated = (
        fit(model, tmp_path / str(calibrate), recipe=Recipe(calibrate=calibrate), stage=ONE_EPOCH)
        for model, calibrate in zip(models, (False, True), strict=True)
    )
    assert plain.temperature == 1.0 < calibrated.temperature
    assert calibrated.best_loss < plain.best_loss
    last = models[1].get_layer("probabilities")
    last.set_weights([weight / calibrated.temperature for weight in last.get_weights()])
    loss = log_loss(*predict_batches(models[1], validation_batches()))
    assert loss == pytest.approx(calibrated.best_loss, rel=1e-3)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_computes_in_it_and_leaves_a_float32_model(precision: Any, tmp_path: Path) -> None:
    model = build_network()
    dtypes: list[str] = []
    layer = model.get_layer("block2_conv")
    call = layer.call

    def recording_call(x: Any) -> Any:
        dtypes.append(keras.backend.standardize_dtype(x.dtype))
        return call(x)

    layer.call = recording_call
    fit(model, tmp_path, recipe=Recipe(precision=precision), stage=ONE_EPOCH)
    assert set(dtypes) == {precision}
    assert all(layer.dtype_policy.name == "float32" for layer in model.layers)
    assert all(weight.dtype == "float32" for weight in model.weights)


def test_a_moving_average_is_evaluated_and_kept(tmp_path: Path) -> None:
    model = build_network(dropout=0.0)
    progress = fit(model, tmp_path, recipe=Recipe(ema=0.95, optimizer="sgd"))
    assert log_loss(*predict_batches(model, validation_batches())) == pytest.approx(progress.best_loss, rel=1e-5)
    plain = build_network(dropout=0.0)
    fit(plain, tmp_path / "plain", recipe=Recipe(optimizer="sgd"))
    assert not np.allclose(plain.get_weights()[0], model.get_weights()[0])


def test_validation_of_the_average_does_not_change_the_training(tmp_path: Path) -> None:
    recipes = Recipe(optimizer="sgd"), Recipe(optimizer="sgd", ema=0.95)
    histories = [fit(build_network(), tmp_path / str(recipe.ema), recipe=recipe).history for recipe in recipes]
    plain, averaged = ([record.loss for record in history] for history in histories)
    assert averaged == plain


def test_batches_without_weights_count_every_image_once(tmp_path: Path) -> None:
    def unweighted(epoch: int) -> tf.data.Dataset:
        return training_batches(epoch).map(lambda pixels, labels, weights: (pixels, labels))

    models = [build_network(), build_network()]
    fit(models[0], tmp_path / "weighted", stage=ONE_EPOCH)
    fit(models[1], tmp_path / "unweighted", stage=ONE_EPOCH, train=unweighted)
    for weighted_weight, weight in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(weighted_weight, weight)


def test_every_epoch_is_recorded_with_its_loss_accuracy_and_learning_rate(tmp_path: Path) -> None:
    seen: list[EpochRecord] = []
    recipe = Recipe(schedule="cosine", warm_up=0.0)
    progress = fit(build_network(), tmp_path, recipe=recipe, watch=seen.append)
    assert seen == progress.history
    assert [(record.stage, record.epoch) for record in seen] == [("fine-tune", epoch) for epoch in (1, 2, 3, 4)]
    # Half a cosine over four epochs, down to a hundredth.
    factors = [0.01 + 0.495 * (1 + np.cos(np.pi * epoch / 4)) for epoch in (1, 2, 3, 4)]
    rates = [record.learning_rate for record in seen]
    assert rates == pytest.approx([STAGE.learning_rate * factor for factor in factors])
    assert progress.steps == 4 * NUM_IMAGES // BATCH


def test_the_scores_of_an_epoch_are_those_of_its_model(tmp_path: Path) -> None:
    model = build_network(dropout=0.0)
    (record,) = fit(model, tmp_path, stage=ONE_EPOCH).history
    probabilities, labels = predict_batches(model, validation_batches())
    assert record.validation_loss == pytest.approx(log_loss(probabilities, labels), rel=1e-6)
    assert record.validation_accuracy == (probabilities.argmax(1) == labels).mean()
    # With a learning rate of nearly zero, training scores are those of the first weights.
    still = build_network(dropout=0.0)
    still.get_layer("block1_norm").trainable = False
    stage = Stage(name="head", unfreeze="none", epochs=1, learning_rate=1e-12)
    (record,) = fit(still, tmp_path / "still", stage=stage).history
    probabilities, labels = predict_batches(still, [draw_images()])
    assert record.loss == pytest.approx(log_loss(probabilities, labels), rel=1e-5)
    assert record.accuracy == (probabilities.argmax(1) == labels).mean()


class Lines(Silent):
    """A reporter that collects what is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown = 0

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Any]:
        self.lines.append(f"{name}: {total}")
        yield self

    def advance(self, count: int = 1, **fields: str) -> None:
        self.shown += count

    def line(self, text: str, *, passing: bool = False) -> None:
        self.lines.append(text)


def test_progress_is_shown_by_images_and_one_line_an_epoch(tmp_path: Path) -> None:
    reporter = Lines()
    progress = fit(build_network(), tmp_path, reporter=reporter)
    assert reporter.shown == 4 * NUM_IMAGES
    first = progress.history[0]
    assert reporter.lines[:2] == [
        f"fine-tune: {4 * NUM_IMAGES}",
        f"fine-tune epoch 1/4: loss {first.loss:.4f}, validation loss {first.validation_loss:.4f}, "
        f"accuracy {first.validation_accuracy:.4f}",
    ]
    assert len(reporter.lines) == 5
