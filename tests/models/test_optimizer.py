"""Optimizers with layer-wise learning rates and selective weight decay."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from models.optimizer import LayerwiseOptimizer, learning_rate_factors


def values_of(variable: Any) -> Any:
    return variable.value.numpy()


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
    factors = learning_rate_factors(model, backbone, 0.5)
    by_name = {weight.path: factor for weight, factor in zip(model.trainable_variables, factors, strict=True)}
    assert by_name["head/kernel"] == 1
    assert [by_name[f"block{n}_conv/kernel"] for n in (3, 2, 1)] == [0.5, 0.25, 0.125]
    updates = LayerwiseOptimizer("adamw", model.trainable_variables, factors, weight_decay=0.1)
    updates.set_rate(0.1)
    before = [values_of(weight) + 1e-3 for weight in model.trainable_variables]
    for weight, value in zip(model.trainable_variables, before, strict=True):
        weight.assign(value)
    updates.apply([tf.zeros(weight.shape) for weight in model.trainable_variables])
    for weight, value, factor in zip(model.trainable_variables, before, factors, strict=True):
        remaining = 1 - 0.1 * 0.1 * factor if len(weight.shape) > 1 else 1.0
        np.testing.assert_allclose(values_of(weight), value * remaining, rtol=1e-6, err_msg=weight.path)


def test_sgd_takes_the_share_of_its_last_step_that_is_asked_for() -> None:
    kernel = keras.Variable(np.ones((2, 2), np.float32))
    updates = LayerwiseOptimizer("sgd", [kernel], [1.0], momentum=0.5)
    updates.set_rate(0.1)
    for _ in range(2):
        updates.apply([tf.ones((2, 2))])
    # v1 = -0.1; v2 = 0.5 * v1 - 0.1
    np.testing.assert_allclose(values_of(kernel), 1 - 0.1 - 0.15, rtol=1e-6)


def test_sgd_has_its_decay_in_the_gradient_where_momentum_carries_it_on() -> None:
    kernel, bias = keras.Variable(np.ones((2, 2), np.float32)), keras.Variable(np.ones(2, np.float32))
    updates = LayerwiseOptimizer("sgd", [kernel, bias], [1.0, 1.0], weight_decay=0.1)
    updates.set_rate(0.5)
    for _ in range(2):
        updates.apply([tf.zeros((2, 2)), tf.zeros(2)])
    # v1 = -0.5 * 0.1 * 1; w1 = 1 + v1; v2 = 0.9 * v1 - 0.5 * 0.1 * w1; w2 = w1 + v2
    np.testing.assert_allclose(values_of(kernel), 0.95 + 0.9 * -0.05 - 0.05 * 0.95, rtol=1e-6)
    np.testing.assert_array_equal(values_of(bias), 1.0)
