"""Fitting a network: what is resumed, kept, scheduled, split and spread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models.errors import UserError
from models.precision import computing_in
from models.updates import Updates, layer_factors
from pipelines.evaluation.predictions import predict_batches
from pipelines.fitting.checkpoint import StageProgress
from pipelines.fitting.network import FitData, NetworkFit, fit_network
from pipelines.fitting.schedule import count_epoch, rate_factor
from pipelines.fitting.step import StepOptions, TrainingStep
from pipelines.runs.stages import Recipe, Stage
from pipelines.system.progress import Silent

STAGE = Stage(name="fine-tune", unfreeze="all", epochs=4, learning_rate=3e-3)
ONE_EPOCH = Stage(name="head", unfreeze="none", epochs=1, learning_rate=1e-3)
PLAIN = Recipe()
NUM_IMAGES, BATCH = 48, 16


def small(seed: int = 0, dropout: float = 0.3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, use_bias=False, name="block1_conv")(pixels)
    x = layers.BatchNormalization(name="block1_norm")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(8, 3, name="block2_conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(pixels, layers.Dense(3, activation="softmax", name="probabilities")(x))


def data(seed: int = 0, count: int = NUM_IMAGES) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count).astype(np.int32)
    pixels = random.normal(size=(count, 8, 8, 3)).astype(np.float32)
    pixels[np.arange(count), :, :, labels] += 1.0
    return pixels, labels


def batches(epoch: int) -> tf.data.Dataset:
    pixels, labels = data()
    order = np.random.default_rng((7, epoch)).permutation(len(labels))
    values = (pixels[order], labels[order], np.ones(len(labels), np.float32))
    return tf.data.Dataset.from_tensor_slices(values).batch(BATCH)


def validation() -> list[tuple[Any, Any]]:
    return [data(seed=1)]


def fit(
    model: keras.Model,
    state: Path,
    *,
    stage: Stage = STAGE,
    recipe: Recipe = PLAIN,
    train: Callable[[int], Any] = batches,
    **options: Any,
) -> StageProgress:
    data = FitData(train=train, validation=validation(), num_images=NUM_IMAGES)
    network = NetworkFit(model=model, stage=stage, recipe=recipe, data=data)
    return fit_network(network, state=state, reporter=Silent(), **options)


def log_loss(probabilities: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> float:
    chosen = probabilities.astype(np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).eps)).mean())


def _values(variable: Any) -> Any:
    return variable.value.numpy()


class Killed(Exception):
    pass


def killing(at: int) -> Callable[[int], Any]:
    """Batches that break off in the middle of an epoch."""

    def train(epoch: int) -> Any:
        for number, batch in enumerate(batches(epoch)):
            if epoch == at and number == 1:
                raise Killed
            yield batch

    return train


FULL = Recipe(optimizer="adamw", schedule="cosine", warm_up=1.0, clip=1.0, label_smoothing=0.1, ema=0.9)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(optimizer="sgd"), FULL], ids=["adam", "sgd", "everything"])
@pytest.mark.parametrize("at", [0, 2])
def test_a_broken_training_ends_with_the_weights_it_would_have_had(tmp_path: Path, recipe: Recipe, at: int) -> None:
    whole = small()
    straight = fit(whole, tmp_path / "whole", recipe=recipe)
    with pytest.raises(Killed):
        fit(small(), tmp_path / "broken", recipe=recipe, train=killing(at))
    again = small()
    resumed = fit(again, tmp_path / "broken", recipe=recipe)
    for one, other in zip(whole.variables, again.variables, strict=True):
        np.testing.assert_array_equal(_values(one), _values(other), err_msg=one.path)
    untimed = [[replace(record, seconds=None) for record in each.history] for each in (straight, resumed)]
    assert untimed[0] == untimed[1]
    assert resumed.best_epoch == straight.best_epoch


SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.pipelines.fitting import test_network as t
at = int(sys.argv[2])
def train(epoch):
    for number, batch in enumerate(t.batches(epoch)):
        if (epoch, number) == (at, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
t.fit(t.small(), Path(sys.argv[1]), recipe=t.FULL, train=train)
"""


@pytest.mark.slow
def test_kill_9_in_the_middle_of_an_epoch_loses_that_epoch_and_nothing_else(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    for at in (1, 3):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "state"), str(at)]
        done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    resumed, whole = small(), small()
    fit(resumed, tmp_path / "state", recipe=FULL)
    fit(whole, tmp_path / "whole", recipe=FULL)
    for one, other in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(_values(one), _values(other), err_msg=one.path)


def test_the_best_epoch_is_restored_and_a_finished_stage_is_not_fitted_again(tmp_path: Path) -> None:
    model = small()
    stage = Stage(name="fine-tune", unfreeze="all", epochs=5, learning_rate=0.3)
    progress = fit(model, tmp_path, stage=stage)
    found = log_loss(*predict_batches(model, validation()))
    assert progress.best_epoch < 5, "the rate is meant to be too high for the last epoch to be the best"
    assert found == pytest.approx(progress.best_loss, rel=1e-5)
    assert found == pytest.approx(min(each.validation_loss for each in progress.history), abs=2e-4)
    again = small()
    fit(again, tmp_path, stage=stage, train=killing(0))
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_plateaus_lower_the_rate_and_patience_ends_the_stage() -> None:
    progress, recipe = StageProgress(), Recipe(patience=6)
    assert count_epoch(progress, 1.0, recipe)
    rates = []
    while not progress.is_stopped:
        assert not count_epoch(progress, 1.0, recipe)
        rates.append(progress.plateau_factor)
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01])
    assert progress.epoch == 7


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    progress = StageProgress()
    assert not count_epoch(progress, float("nan"), Recipe())
    assert progress.best_epoch == 0


def test_a_cosine_rises_through_the_warm_up_and_falls_to_almost_nothing() -> None:
    recipe = Recipe(schedule="cosine", warm_up=2.0)
    factors = [rate_factor(recipe, moment, 10) for moment in (0, 1, 2, 6, 10)]
    assert factors == pytest.approx([0.01, 0.5, 1.0, 0.505, 0.01])
    # A warm-up never takes more than half of a stage.
    assert rate_factor(recipe, 0.5, 1) == pytest.approx(1.0)
    assert rate_factor(Recipe(), 3.0, 10, plateau_factor=0.1) == pytest.approx(0.1)


def test_the_rate_falls_from_block_to_block_and_decay_spares_biases_and_norms() -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    x = pixels
    for number in (1, 2, 3):
        x = layers.Conv2D(4, 3, padding="same", name=f"block{number}_conv")(x)
        x = layers.BatchNormalization(name=f"block{number}_norm")(x)
    backbone = keras.Model(pixels, x, name="backbone")
    out = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(backbone(pixels)))
    model = keras.Model(pixels, out)
    factors = layer_factors(model, backbone, 0.5)
    by_name = {weight.path: factor for weight, factor in zip(model.trainable_variables, factors, strict=True)}
    assert by_name["head/kernel"] == 1
    assert [by_name[f"block{n}_conv/kernel"] for n in (3, 2, 1)] == [0.5, 0.25, 0.125]
    updates = Updates("adamw", model.trainable_variables, factors, weight_decay=0.1)
    updates.set_rate(0.1)
    before = [_values(each) + 1e-3 for each in model.trainable_variables]
    for each, value in zip(model.trainable_variables, before, strict=True):
        each.assign(value)
    updates.apply([tf.zeros(each.shape) for each in model.trainable_variables])
    for each, value, factor in zip(model.trainable_variables, before, factors, strict=True):
        kept = 1 - 0.1 * 0.1 * factor if len(each.shape) > 1 else 1.0
        np.testing.assert_allclose(_values(each), value * kept, rtol=1e-6, err_msg=each.path)


def test_sgd_has_its_decay_in_the_gradient_where_momentum_carries_it_on() -> None:
    kernel, bias = keras.Variable(np.ones((2, 2), np.float32)), keras.Variable(np.ones(2, np.float32))
    updates = Updates("sgd", [kernel, bias], [1.0, 1.0], weight_decay=0.1)
    updates.set_rate(0.5)
    for _ in range(2):
        updates.apply([tf.zeros((2, 2)), tf.zeros(2)])
    # v1 = -0.5 * 0.1 * 1; w1 = 1 + v1; v2 = 0.9 * v1 - 0.5 * 0.1 * w1; w2 = w1 + v2
    np.testing.assert_allclose(_values(kernel), 0.95 + 0.9 * -0.05 - 0.05 * 0.95, rtol=1e-6)
    np.testing.assert_array_equal(_values(bias), 1.0)


def test_an_epoch_that_is_right_more_often_but_too_sure_counts_as_better_when_calibrated(tmp_path: Path) -> None:
    models = [small(dropout=0.0), small(dropout=0.0)]
    for each in models:
        last = each.get_layer("probabilities")
        last.set_weights([15 * weight for weight in last.get_weights()])
    _, again = models
    plain, cooled = (
        fit(each, tmp_path / str(calibrate), recipe=Recipe(calibrate=calibrate), stage=ONE_EPOCH)
        for each, calibrate in zip(models, (False, True), strict=True)
    )
    assert plain.temperature == 1.0 < cooled.temperature
    assert cooled.best_loss < plain.best_loss
    last = again.get_layer("probabilities")
    last.set_weights([weight / cooled.temperature for weight in last.get_weights()])
    assert log_loss(*predict_batches(again, validation())) == pytest.approx(cooled.best_loss, rel=1e-3)


def step_of(model: keras.Model, rule: str = "sgd", options: StepOptions | None = None, **named: Any) -> TrainingStep:
    variables = model.trainable_variables
    updates = Updates(rule, variables, [1.0] * len(variables))
    updates.set_rate(0.1)
    return TrainingStep(model, updates, options, **named)


def batch_of(count: int) -> tuple[Any, Any, Any]:
    pixels, labels = data(count=count)
    return tf.constant(pixels), tf.constant(labels), tf.constant(np.linspace(0.5, 1.5, count), tf.float32)


def frozen_norm(dropout: float = 0.0) -> keras.Model:
    model = small(dropout=dropout)
    model.get_layer("block1_norm").trainable = False
    return model


def test_when_memory_runs_out_the_batch_is_split_and_the_update_stays_the_same() -> None:
    whole, split = frozen_norm(), frozen_norm()
    expected = step_of(whole).train(batch_of(10))
    told: list[int] = []
    step = step_of(split, on_halved=told.append)
    real, room = step._batch_gradients, 3

    def gradients(inputs: Any, *rest: Any) -> Any:
        if len(inputs) > room:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return real(inputs, *rest)

    def piece(inputs: Any, labels: Any, weights: Any, scale: Any, at: Any, pieces: Any) -> Any:
        return gradients(inputs[at::pieces], labels[at::pieces], weights[at::pieces], scale)

    step._batch_gradients, step._piece_gradients = gradients, piece
    found = step.train(batch_of(10))
    assert told == [2, 4], "10 images in pieces of 3 at most: 2 pieces of 5 are too large, 4 are not"
    assert found == pytest.approx(expected, rel=1e-5)
    for one, other in zip(whole.get_weights(), split.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_memory_for_no_image_at_all_is_an_error_that_says_what_to_do() -> None:
    step = step_of(frozen_norm())

    def gradients(*_: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    step._batch_gradients = step._piece_gradients = gradients
    before = step.model.get_weights()
    with pytest.raises(UserError, match="one image"):
        step.train(batch_of(6))
    assert all((a == b).all() for a, b in zip(before, step.model.get_weights(), strict=True))


def test_float16_overflow_skips_the_update_and_halves_the_scale() -> None:
    model = frozen_norm()
    with computing_in("float16", model):
        step = step_of(model, options=StepOptions(precision="float16"))
        step.state.loss_scale = 2.0**30
        before = model.get_weights()
        step.train(batch_of(8))
        assert step.state.loss_scale == 2.0**29
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
        while step.state.loss_scale > 2.0**10 and step.state.finite_steps == 0:
            step.train(batch_of(8))
        assert step.state.finite_steps > 0
    exact = frozen_norm()
    step_of(exact).train(batch_of(8))
    assert model.compute_dtype == "float32"
    for one, other in zip(exact.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_computes_in_it_and_leaves_a_float32_model(precision: Any, tmp_path: Path) -> None:
    model = small()
    seen: list[str] = []
    layer = model.get_layer("block2_conv")
    call = layer.call

    def watched(x: Any) -> Any:
        seen.append(keras.backend.standardize_dtype(x.dtype))
        return call(x)

    layer.call = watched
    fit(model, tmp_path, recipe=Recipe(precision=precision), stage=ONE_EPOCH)
    assert set(seen) == {precision}
    assert all(layer.dtype_policy.name == "float32" for layer in model.layers)
    assert all(weight.dtype == "float32" for weight in model.weights)


def test_soft_labels_are_what_hard_labels_are_when_they_say_the_same() -> None:
    one, other = frozen_norm(), frozen_norm()
    pixels, labels, weights = batch_of(9)
    first = step_of(one, options=StepOptions(label_smoothing=0.1)).train((pixels, labels, weights))
    second = step_of(other, options=StepOptions(label_smoothing=0.1)).train((pixels, tf.one_hot(labels, 3), weights))
    assert first == pytest.approx(second)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_the_step_is_that_of_keras_own_fit() -> None:
    one, other = frozen_norm(), frozen_norm()
    pixels, labels, _ = batch_of(12)
    step_of(one).train((pixels, labels, tf.ones(12)))
    other.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy")
    other.train_on_batch(pixels, labels)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_wrong_answer_given_with_certainty_still_has_a_gradient() -> None:
    pixels = keras.Input((1,))
    model = keras.Model(
        pixels, layers.Dense(2, activation="softmax", kernel_initializer="ones", name="probabilities")(pixels)
    )
    model.get_layer("probabilities").set_weights([np.array([[200.0, 0.0]], np.float32), np.zeros(2, np.float32)])
    step = step_of(model)
    loss, right, count = step.train((tf.ones((4, 1)), tf.ones(4, tf.int32), tf.ones(4)))
    assert loss == pytest.approx(800.0)
    assert (right, count) == (0, 4)
    assert model.get_weights()[1] == pytest.approx([-0.1, 0.1])


def test_the_gradients_norm_is_bounded_over_all_weights() -> None:
    model = frozen_norm()
    before = model.get_weights()
    step_of(model, options=StepOptions(clip=1e-3)).train(batch_of(8))
    moved = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.sqrt(sum((each**2).sum() for each in moved)) == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_an_auxiliary_classifier_counts_a_third_and_only_in_training(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    main = layers.Dense(3, activation="softmax", name="main")(x)
    side = layers.Dense(3, activation="softmax", name="side")(x)
    model = keras.Model(x, [main, side])
    model.get_layer("side").set_weights(model.get_layer("main").get_weights())
    kernel = model.get_layer("main").get_weights()[0]
    inputs = tf.random.stateless_normal((6, 4), (0, 1))
    step = step_of(model)
    step.train((inputs, tf.constant([0, 1, 2, 0, 1, 2]), tf.ones(6)))
    moved = [kernel - model.get_layer(name).get_weights()[0] for name in ("main", "side")]
    np.testing.assert_allclose(moved[1], 0.3 * moved[0], rtol=1e-4, atol=1e-7)
    assert step.predict(inputs).shape == (6, 3)


def test_a_trunk_stays_and_runs_as_in_inference() -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    trunk = keras.Model(pixels, layers.Dropout(0.9)(layers.BatchNormalization()(layers.Conv2D(4, 3)(pixels))))
    top = keras.Sequential([keras.Input((6, 6, 4)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    inputs, labels, weights = batch_of(8)
    below, weights_before = trunk(inputs, training=False), trunk.get_weights()
    copy = keras.models.clone_model(top)
    copy.set_weights(top.get_weights())
    one = step_of(top, trunk=trunk).train((inputs, labels, weights))
    other = step_of(copy).train((below, labels, weights))
    assert one == pytest.approx(other, rel=1e-5)
    for a, b in zip(top.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert all((a == b).all() for a, b in zip(weights_before, trunk.get_weights(), strict=True))


def test_a_moving_average_is_what_is_judged_and_kept(tmp_path: Path) -> None:
    model = small(dropout=0.0)
    progress = fit(model, tmp_path, recipe=Recipe(ema=0.95, optimizer="sgd"))
    assert log_loss(*predict_batches(model, validation())) == pytest.approx(progress.best_loss, rel=1e-5)
    plain = small(dropout=0.0)
    fit(plain, tmp_path / "plain", recipe=Recipe(optimizer="sgd"))
    assert not np.allclose(plain.get_weights()[0], model.get_weights()[0])


def test_two_devices_take_the_step_of_one() -> None:
    """In a process of its own: devices are divided before TensorFlow starts."""
    script = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
import tempfile
from tests.pipelines.fitting import test_network as t
from pipelines.runs.stages import Recipe
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
recipe = Recipe(optimizer="adamw", schedule="cosine", clip=0.5, ema=0.5, label_smoothing=0.1)
one, other = t.frozen_norm(), t.frozen_norm()
a = t.fit(one, Path(tempfile.mkdtemp()), recipe=recipe)
b = t.fit(other, Path(tempfile.mkdtemp()), recipe=recipe, strategy=strategy)
for x, y in zip(one.get_weights(), other.get_weights()):
    np.testing.assert_allclose(x, y, atol=2e-5)
for x, y in zip(a.history, b.history):
    assert abs(x.loss - y.loss) < 1e-4, (x, y)
    assert x.accuracy == y.accuracy, (x, y)
print("the same")
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "the same", done.stderr[-3000:]
