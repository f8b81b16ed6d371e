"""Folding a frozen graph is exact in float32, and leaves alone what is not affine per channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from models.engines.graph import Graph, freeze, function_of, trace
from tests.models.engines.tiny import randomize, relative_difference

SIZE = 16
Built = Callable[[Any], Any]


def network(body: Built, *, channels: int = 3) -> keras.Model:
    """A model of `body` whose statistics, scales and biases are far from their initial values."""
    pixels = keras.Input((SIZE, SIZE, channels))
    model = keras.Model(pixels, layers.GlobalAveragePooling2D()(body(pixels)))
    randomize(model)
    return model


def frozen(model: keras.Model, *, channels: int = 3) -> tuple[Graph, float, Counter[str]]:
    """The folded graph, its relative difference from the model, and how often each operation is in it."""
    pixels = np.random.default_rng(1).normal(0, 1, (4, SIZE, SIZE, channels)).astype(np.float32)
    graph = freeze(trace(model, pixels.shape))
    difference = relative_difference(function_of(graph)(pixels), np.asarray(model(pixels, training=False)))
    return graph, difference, Counter(node.op for node in graph.graph_def.node)


def normal(x: Any, **options: Any) -> Any:
    return layers.BatchNormalization(**options)(x)


AFFINE = ("Mul", "Add", "AddV2", "Sub", "FusedBatchNormV3")

FOLDS: dict[str, Built] = {
    "conv without bias": lambda x: normal(layers.Conv2D(8, 3, use_bias=False)(x)),
    "conv with bias": lambda x: normal(layers.Conv2D(8, 3, padding="same")(x)),
    "strided": lambda x: normal(layers.Conv2D(8, 3, strides=2)(x)),
    "no scale": lambda x: normal(layers.Conv2D(8, 3)(x), scale=False),
    "no centre": lambda x: normal(layers.Conv2D(8, 3)(x), center=False),
    "neither": lambda x: normal(layers.Conv2D(8, 3)(x), center=False, scale=False),
    "another epsilon": lambda x: normal(layers.Conv2D(8, 3)(x), epsilon=0.1),
    "twice": lambda x: normal(normal(layers.Conv2D(8, 3)(x))),
    "in groups": lambda x: normal(layers.Conv2D(8, 3, groups=2)(layers.Conv2D(4, 1)(x))),
    "in as many groups as channels": lambda x: normal(layers.Conv2D(6, 3, groups=3)(x)),
    "rescaled behind": lambda x: layers.Rescaling(3.0, offset=-1.5)(normal(layers.Conv2D(8, 3)(x))),
    "depthwise": lambda x: normal(layers.DepthwiseConv2D(3, use_bias=False)(x)),
    "depthwise, two a channel": lambda x: normal(layers.DepthwiseConv2D(3, depth_multiplier=2)(x)),
    "separable": lambda x: normal(layers.SeparableConv2D(8, 3)(x)),
}


def test_a_convolution_in_as_many_groups_as_channels_is_a_depthwise_one() -> None:
    _, _, operations = frozen(network(FOLDS["in as many groups as channels"]))

    assert operations["DepthwiseConv2dNative"] == 1
    assert operations["Conv2D"] == operations["StatefulPartitionedCall"] == 0


def test_a_dilated_convolution_stays_exact() -> None:
    """TensorFlow moves pixels into the batch for it on a CPU: what follows does not touch the kernel."""
    _, difference, _ = frozen(network(lambda x: normal(layers.Conv2D(8, 3, dilation_rate=2)(x))))

    assert difference < 1e-5


@pytest.mark.parametrize("name", FOLDS)
def test_what_follows_a_convolution_becomes_part_of_it(name: str) -> None:
    _, difference, operations = frozen(network(FOLDS[name]))

    assert difference < 1e-5
    # The bias of a convolution in groups is added: TensorFlow has not everywhere a kernel that does both.
    added = operations.pop("AddV2", 0) if name == "in groups" else 0
    assert added == (name == "in groups")
    assert not any(operations[name] for name in AFFINE)


def test_batch_normalization_behind_a_dense_layer_folds() -> None:
    pixels = keras.Input((SIZE, SIZE, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(pixels))
    model = keras.Model(pixels, normal(layers.Dense(12, activation="relu")(normal(layers.Dense(9)(features)))))
    randomize(model)

    _, difference, operations = frozen(model)

    assert difference < 1e-5
    assert operations["MatMul"] == 2
    # The one behind the activation stays.
    assert operations["Mul"] == operations["AddV2"] == 1


def test_batch_normalization_in_front_of_an_activation_becomes_one_operation() -> None:
    def body(x: Any) -> Any:
        x = layers.Activation("relu")(layers.Conv2D(8, 3)(x))
        return layers.Conv2D(8, 3)(layers.Activation("relu")(normal(x)))

    _, difference, operations = frozen(network(body))

    assert difference < 1e-5
    assert operations["FusedBatchNormV3"] == 1
    assert operations["Mul"] == 0


def test_a_convolution_whose_result_is_used_twice_keeps_its_kernel() -> None:
    def body(x: Any) -> Any:
        x = layers.Conv2D(8, 3, use_bias=False)(x)
        return layers.Add()([normal(x), layers.Activation("relu")(x)])

    _, difference, operations = frozen(network(body))

    assert difference < 1e-5
    assert operations["FusedBatchNormV3"] == 1


def test_a_layer_used_twice_folds_in_each_place_by_itself() -> None:
    shared = layers.Conv2D(8, 3, padding="same")

    def body(x: Any) -> Any:
        x = layers.Conv2D(8, 1)(x)
        first = layers.Activation("relu")(normal(shared(x)))
        return layers.Concatenate()([normal(shared(first)), shared(x)])

    _, difference, operations = frozen(network(body))

    assert difference < 1e-5
    assert operations["Conv2D"] == 4
    assert not any(operations[name] for name in AFFINE)


def test_one_number_per_image_and_channel_is_not_a_constant() -> None:
    """Squeeze and excitation: what multiplies the features comes from the image."""

    def body(x: Any) -> Any:
        x = layers.Conv2D(8, 3)(x)
        gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return normal(layers.Multiply()([x, gate]))

    _, difference, _ = frozen(network(body))

    assert difference < 1e-5


def test_batch_normalization_over_another_axis_stays_exact() -> None:
    _, difference, _ = frozen(network(lambda x: layers.BatchNormalization(axis=1)(layers.Conv2D(14, 3)(x))))

    assert difference < 1e-5


def test_a_constant_as_wide_as_the_picture_is_not_taken_for_channels() -> None:
    """A map (height, width, 1) has as many numbers as there are channels: 14 x 1 here, in the wrong place."""
    plane = np.linspace(-1, 1, 14, dtype=np.float32).reshape(1, 14, 1, 1)

    _, difference, _ = frozen(network(lambda x: keras.ops.multiply(layers.Conv2D(14, 3)(x), plane)))

    assert difference < 1e-5


def test_a_subclassed_model_folds_too() -> None:
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv2D(8, 3)
            self.norm = layers.BatchNormalization()

        def call(self, x: Any, training: bool = False) -> Any:
            return keras.ops.mean(self.norm(self.conv(x) / 2.0 - 1.0, training=training), axis=(1, 2))

    model = Subclassed()
    model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    randomize(model)

    _, difference, operations = frozen(model)

    assert difference < 1e-5
    assert not any(operations[name] for name in (*AFFINE, "RealDiv"))
