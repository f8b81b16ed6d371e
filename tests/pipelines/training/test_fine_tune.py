"""Fine-tuning: which layers are trained, and which model is kept."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models.errors import UserError
from models.heads import cool
from pipelines.evaluation.calibration import apply_temperature
from pipelines.evaluation.metrics import losses
from pipelines.fitting.checkpoint import StageProgress
from pipelines.training import fine_tune as module
from pipelines.training.fine_tune import fine_tune
from pipelines.training.pixel_stage import predict_parts
from pipelines.training.tensorboard_events import EVENTS
from tests.pipelines.training.prepared import Prepare, weights_of


def test_only_the_layers_above_the_boundary_are_trained_and_no_norm_moves(prepared: Prepare) -> None:
    plan, frozen = prepared(head="mlp", fine_tune="2", learning_rate=0.1)
    start = weights_of(frozen.model)
    tuned = fine_tune(plan, frozen)
    assert tuned.stages[-1].trained == ("block2", "block3")
    moved = {path for path, value in weights_of(tuned.model).items() if not np.array_equal(value, start[path])}
    head = {f"head/{name}" for name in ("hidden/kernel", "probabilities/kernel", "probabilities/bias")}
    assert moved == head | {"block2_conv/kernel", "block3_conv/kernel"}


def test_train_bn_trains_norms_in_the_trained_blocks_alone(prepared: Prepare) -> None:
    plan, frozen = prepared(fine_tune="1", train_bn=True, learning_rate=0.1)
    start = weights_of(frozen.model)
    tuned = fine_tune(plan, frozen)
    moved = {path for path, value in weights_of(tuned.model).items() if not np.array_equal(value, start[path])}
    norm = {f"block3_conv_norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    assert moved == norm | {"block3_conv/kernel", "head/probabilities/kernel", "head/probabilities/bias"}


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
def test_moving_statistics_stay_to_the_bit_in_networks_that_are_full_of_them(prepared: Prepare, name: str) -> None:
    plan, frozen = prepared(name=name, fine_tune="1", learning_rate=0.01, epochs=1, per_class=3)
    start = weights_of(frozen.model)
    tuned = fine_tune(plan, frozen)
    norms = [
        weight.path
        for layer in tuned.model.get_layer("backbone").layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    ]
    assert len(norms) > 100
    end = weights_of(tuned.model)
    for path in norms:
        np.testing.assert_array_equal(end[path], start[path], err_msg=path)


def test_the_model_predicts_as_in_its_best_epoch(prepared: Prepare) -> None:
    plan, frozen = prepared(fine_tune="2", learning_rate=0.03, epochs=4)
    tuned = fine_tune(plan, frozen)
    record = tuned.stages[-1]
    assert record.kept
    best = min(record.validation_loss for record in tuned.history)
    # The weights of the best epoch are a share of 1: no other share is kept unless it has less loss.
    assert record.share is not None and record.compared["validation"].log_loss.means[0] <= best * 1.002 + 1e-5
    again = predict_parts(plan, tuned.model, 32)
    np.testing.assert_array_equal(again["test"][0], tuned.predictions["test"][0])
    assert tuned.backbone.weights_sha256 is None, "features cached for the published weights are not this network's"
    assert tuned.backbone.fine_tuned == ("block2", "block3")


def test_a_worse_model_is_not_kept_and_the_note_shows_both_losses(prepared: Prepare) -> None:
    plan, frozen = prepared(fine_tune="2", learning_rate=300.0, epochs=2, clip=0.0, optimizer="sgd", warm_up=0.0)
    start, predictions = weights_of(frozen.model), frozen.predictions
    tuned = fine_tune(plan, frozen)
    assert not tuned.stages[-1].kept
    assert tuned.predictions is predictions
    for path, value in weights_of(tuned.model).items():
        np.testing.assert_array_equal(value, start[path], err_msg=path)
    assert tuned.backbone.weights_sha256
    line, on_test = tuned.notes[-2:]
    assert "the frozen model is kept" in line
    assert "95% interval" in line
    assert "on images that chose nothing" in on_test
    assert not tuned.model.get_layer("backbone").trainable_weights


def test_all_blocks_can_be_trained(prepared: Prepare) -> None:
    plan, frozen = prepared(fine_tune="all", epochs=1, learning_rate=0.1)
    start = weights_of(frozen.model)
    tuned = fine_tune(plan, frozen)
    moved = {path for path, value in weights_of(tuned.model).items() if not np.array_equal(value, start[path])}
    assert {"block1_conv/kernel", "block2_conv/kernel", "block3_conv/kernel"} <= moved


def test_an_unknown_block_is_an_error_that_lists_the_blocks(prepared: Prepare) -> None:
    plan, frozen = prepared(fine_tune="conv9")
    with pytest.raises(UserError) as caught:
        fine_tune(plan, frozen)
    assert "block3" in caught.value.hint


def test_events_for_tensorboard_are_written_where_asked_for(prepared: Prepare) -> None:
    for wanted in (True, False):
        plan, frozen = prepared(epochs=1, tensorboard=wanted)
        fine_tune(plan, frozen)
        assert bool(list((plan.folder / EVENTS).rglob("events.*"))) is wanted


def test_calibration_is_not_counted_as_a_gain(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, frozen = prepared()
    weights = frozen.model.get_weights()
    # An overconfident frozen head: at a higher temperature it would be as good as the model after fine-tuning.
    calibrated, labels = frozen.predictions["validation"]
    sure = apply_temperature(calibrated, 0.1).astype(np.float32)
    frozen.predictions = {
        part: (apply_temperature(probabilities, 0.1).astype(np.float32), classes)
        for part, (probabilities, classes) in frozen.predictions.items()
    }
    unchanged = StageProgress(best_epoch=1, temperature=1.0)
    monkeypatch.setattr(module, "_fit", lambda *_, **__: unchanged)
    tuned = fine_tune(plan, frozen)
    compared = tuned.stages[-1].compared["validation"]
    assert compared.log_loss.means[1] < losses(sure, labels).mean() - 0.01
    assert abs(compared.log_loss.value) < losses(sure, labels).mean() - losses(calibrated, labels).mean()
    # The network is as it was, at the temperature that suits validation best: the frozen one is not kept for it.
    heat = tuned.stages[-1].temperature if tuned.stages[-1].kept else 1.0
    assert heat is not None and heat >= 1.0
    *backbone, kernel, bias = tuned.model.get_weights()
    for value, weight in zip(backbone, weights, strict=False):
        np.testing.assert_array_equal(value, weight)
    for value, weight in zip((kernel, bias), weights[-2:], strict=True):
        np.testing.assert_allclose(value, weight / heat, rtol=1e-3, atol=1e-6)


def test_a_temperature_divides_the_logits_in_the_last_layer(prepared: Prepare) -> None:
    _, frozen = prepared(head="mlp")
    hot, labels = frozen.predictions["validation"]
    cool(frozen.model.get_layer("head"), 3.0)
    cold = predict_parts(prepared()[0], frozen.model, 32)["validation"][0]
    powers = hot.astype(float) ** (1 / 3)
    np.testing.assert_allclose(cold, powers / powers.sum(1, keepdims=True), rtol=1e-4)
    assert (cold.argmax(1) == hot.argmax(1)).all() and len(labels) == len(cold)
