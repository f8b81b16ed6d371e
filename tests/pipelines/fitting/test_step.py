"""One training step: what it computes, in pieces, in half precision, with auxiliary classifiers and a trunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models.errors import UserError
from models.precision import computing_in
from pipelines.fitting.step import StepOptions, TrainingStep
from tests.pipelines.fitting.small_network import batch_of, build_with_frozen_norm, step_of

OUT_OF_MEMORY = tf.errors.ResourceExhaustedError(None, None, "out of memory")


def limit_images(step: TrainingStep, limit: int) -> None:
    """Let the step run out of memory on more images than this at once."""
    compute = step._batch_gradients

    def batch_gradients(inputs: Any, *rest: Any) -> Any:
        if len(inputs) > limit:
            raise OUT_OF_MEMORY
        return compute(inputs, *rest)

    def piece_gradients(inputs: Any, labels: Any, weights: Any, scale: Any, piece: Any, pieces: Any) -> Any:
        return batch_gradients(inputs[piece::pieces], labels[piece::pieces], weights[piece::pieces], scale)

    step._batch_gradients, step._piece_gradients = batch_gradients, piece_gradients


def test_when_memory_runs_out_the_batch_is_split_and_the_update_stays_the_same() -> None:
    whole, split = build_with_frozen_norm(), build_with_frozen_norm()
    expected = step_of(whole).train(batch_of(10))
    numbers_of_pieces: list[int] = []
    step = step_of(split, on_halved=numbers_of_pieces.append)
    limit_images(step, 3)
    result = step.train(batch_of(10))
    assert numbers_of_pieces == [2, 4], "10 images in pieces of 3 at most: 2 pieces of 5 are too large, 4 are not"
    assert result == pytest.approx(expected, rel=1e-5)
    for weight, split_weight in zip(whole.get_weights(), split.get_weights(), strict=True):
        np.testing.assert_allclose(weight, split_weight, atol=1e-6)


def test_later_batches_are_split_at_once() -> None:
    numbers_of_pieces: list[int] = []
    step = step_of(build_with_frozen_norm(), on_halved=numbers_of_pieces.append)
    limit_images(step, 5)
    for _ in range(2):
        step.train(batch_of(10))
    assert numbers_of_pieces == [2]
    assert step.state.pieces == 2


def test_too_little_memory_for_one_image_is_an_error_that_says_what_to_do() -> None:
    step = step_of(build_with_frozen_norm())
    limit_images(step, 0)
    before = step.model.get_weights()
    with pytest.raises(UserError, match="one image") as error:
        step.train(batch_of(6))
    assert "fewer blocks" in (error.value.hint or "")
    assert all((a == b).all() for a, b in zip(before, step.model.get_weights(), strict=True))


def test_float16_overflow_skips_the_update_and_halves_the_scale() -> None:
    model = build_with_frozen_norm()
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
    exact = build_with_frozen_norm()
    step_of(exact).train(batch_of(8))
    assert model.compute_dtype == "float32"
    for exact_weight, weight in zip(exact.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(exact_weight, weight, atol=2e-3)


def test_many_finite_float16_steps_double_the_scale() -> None:
    model = build_with_frozen_norm()
    with computing_in("float16", model):
        step = step_of(model, options=StepOptions(precision="float16"))
        step.state.loss_scale, step.state.finite_steps = 4.0, 1999
        step.train(batch_of(8))
    assert (step.state.loss_scale, step.state.finite_steps) == (8.0, 0)


def test_class_shares_of_one_class_are_hard_labels() -> None:
    models = [build_with_frozen_norm(), build_with_frozen_norm()]
    options = StepOptions(label_smoothing=0.1)
    pixels, labels, weights = batch_of(9)
    hard = step_of(models[0], options=options).train((pixels, labels, weights))
    soft = step_of(models[1], options=options).train((pixels, tf.one_hot(labels, 3), weights))
    assert hard == pytest.approx(soft)
    for hard_weight, soft_weight in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(hard_weight, soft_weight, atol=1e-7)


def test_the_step_is_that_of_keras_own_fit() -> None:
    model, reference = build_with_frozen_norm(), build_with_frozen_norm()
    pixels, labels, _ = batch_of(12)
    step_of(model).train((pixels, labels, tf.ones(12)))
    reference.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy")
    reference.train_on_batch(pixels, labels)
    for weight, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_the_sums_are_those_of_the_batch() -> None:
    model = build_with_frozen_norm()
    pixels, labels, weights = batch_of(12)
    probabilities = model.predict_on_batch(pixels)
    losses = -np.log(probabilities[np.arange(12), labels.numpy()])
    loss, correct, count = step_of(model).train((pixels, labels, weights))
    assert loss == pytest.approx(float((losses * weights.numpy()).sum()), rel=1e-5)
    assert correct == (probabilities.argmax(1) == labels.numpy()).sum()
    assert count == 12


def test_a_wrong_prediction_of_probability_1_still_has_a_gradient() -> None:
    pixels = keras.Input((1,))
    model = keras.Model(
        pixels, layers.Dense(2, activation="softmax", kernel_initializer="ones", name="probabilities")(pixels)
    )
    model.get_layer("probabilities").set_weights([np.array([[200.0, 0.0]], np.float32), np.zeros(2, np.float32)])
    step = step_of(model)
    loss, correct, count = step.train((tf.ones((4, 1)), tf.ones(4, tf.int32), tf.ones(4)))
    assert loss == pytest.approx(800.0)
    assert (correct, count) == (0, 4)
    assert model.get_weights()[1] == pytest.approx([-0.1, 0.1])


def test_the_gradients_norm_is_bounded_over_all_weights() -> None:
    model = build_with_frozen_norm()
    before = model.get_weights()
    step_of(model, options=StepOptions(clip=1e-3)).train(batch_of(8))
    steps = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.sqrt(sum((change**2).sum() for change in steps)) == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_an_auxiliary_classifier_counts_a_third_and_only_in_training(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    main = layers.Dense(3, activation="softmax", name="main")(x)
    auxiliary = layers.Dense(3, activation="softmax", name="auxiliary")(x)
    model = keras.Model(x, [main, auxiliary])
    model.get_layer("auxiliary").set_weights(model.get_layer("main").get_weights())
    kernel = model.get_layer("main").get_weights()[0]
    inputs = tf.random.stateless_normal((6, 4), (0, 1))
    step = step_of(model)
    step.train((inputs, tf.constant([0, 1, 2, 0, 1, 2]), tf.ones(6)))
    steps = [kernel - model.get_layer(name).get_weights()[0] for name in ("main", "auxiliary")]
    np.testing.assert_allclose(steps[1], 0.3 * steps[0], rtol=1e-4, atol=1e-7)
    assert step.predict(inputs).shape == (6, 3)


def test_a_trunk_does_not_change_and_runs_as_in_inference() -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    trunk = keras.Model(pixels, layers.Dropout(0.9)(layers.BatchNormalization()(layers.Conv2D(4, 3)(pixels))))
    top = keras.Sequential([keras.Input((6, 6, 4)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    inputs, labels, weights = batch_of(8)
    activations, trunk_weights = trunk(inputs, training=False), trunk.get_weights()
    copy = keras.models.clone_model(top)
    copy.set_weights(top.get_weights())
    through_trunk = step_of(top, trunk=trunk).train((inputs, labels, weights))
    on_activations = step_of(copy).train((activations, labels, weights))
    assert through_trunk == pytest.approx(on_activations, rel=1e-5)
    for weight, expected in zip(top.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    assert all((a == b).all() for a, b in zip(trunk_weights, trunk.get_weights(), strict=True))


def test_the_moving_average_follows_the_weights() -> None:
    model = build_with_frozen_norm()
    average = [tf.Variable(weight.value, trainable=False) for weight in model.trainable_variables]
    before = [variable.numpy() for variable in average]
    step_of(model, average=average).train(batch_of(8), momentum=0.75)
    for start, variable, weight in zip(before, average, model.trainable_variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), 0.75 * start + 0.25 * weight.value.numpy(), atol=1e-6)
