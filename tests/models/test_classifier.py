"""A classifier is its backbone, pooling and head, and can be continued from any boundary in it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from models.classifier import build_classifier, build_feature_extractor, build_top, pool_features
from models.heads import HEADS, Pooling, build_head

SIDE, MAPS = 9, 5


def pixels() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)


def backbone() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="lower")(x)
    return keras.Model(inputs, layers.Conv2D(MAPS, 2, activation="relu", name="upper")(x), name="backbone")


def classifier(pooling: Pooling = "avg") -> keras.Model:
    num_features = MAPS * 9 if pooling == "flatten" else MAPS
    head = build_head(HEADS["linear"], num_features=num_features, num_classes=3)
    return build_classifier(backbone(), head, pooling=pooling)


def pooled(maps: np.ndarray, pooling: Pooling) -> np.ndarray:
    """The definition, with NumPy: (images, height, width, maps) -> (images, features)."""
    match pooling:
        case "avg":
            return maps.mean((1, 2))
        case "max":
            return maps.max((1, 2))
        case "flatten":
            return maps.reshape(len(maps), -1)
        case _:
            raise AssertionError(f"{pooling} is a layer, not a way to pool")


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_probabilities_are_those_of_head_after_pooling_after_backbone(pooling: Pooling) -> None:
    model = classifier(pooling)
    assert model.name == "headstart"
    assert [layer.name for layer in model.layers] == ["pixels", "backbone", "pooling", "head"]
    assert model.input_shape == (None, SIDE, SIDE, 3)
    maps = model.get_layer("backbone").predict_on_batch(pixels())
    kernel, bias = model.get_layer("head").get_weights()
    logits = pooled(maps, pooling).astype(np.float64) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_on_batch(pixels()), expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_features_are_the_input_of_the_head(pooling: Pooling) -> None:
    network = backbone()
    extractor = build_feature_extractor(network, pooling=pooling)
    expected = pooled(network.predict_on_batch(pixels()), pooling)
    np.testing.assert_allclose(extractor.predict_on_batch(pixels()), expected, rtol=1e-5)


def test_a_vector_is_not_pooled() -> None:
    vector = keras.Input((7,))
    model = keras.Model(vector, pool_features(vector, "max"))
    values = np.arange(14, dtype=np.float32).reshape(2, 7)
    np.testing.assert_array_equal(model.predict_on_batch(values), values)
    assert model.layers[-1].name == "pooling"


def test_the_top_continues_from_the_output_of_the_backbone_and_shares_the_weights() -> None:
    model = classifier()
    top = build_top(model)
    assert top.name == "top"
    maps = model.get_layer("backbone").predict_on_batch(pixels())
    np.testing.assert_allclose(top.predict_on_batch(maps), model.predict_on_batch(pixels()), atol=1e-6)
    model.get_layer("head").set_weights([weights + 1 for weights in model.get_layer("head").get_weights()])
    np.testing.assert_allclose(top.predict_on_batch(maps), model.predict_on_batch(pixels()), atol=1e-6)


def test_the_top_continues_from_a_boundary_inside_the_backbone() -> None:
    model = classifier()
    network = model.get_layer("backbone")
    lower = keras.Model(network.inputs[0], network.get_layer("lower").output)
    upper = keras.Model(network.get_layer("lower").output, network.outputs[0], name="upper_part")
    top = build_top(model, upper)
    activations = lower.predict_on_batch(pixels())
    assert top.input_shape == (None, *activations.shape[1:])
    np.testing.assert_allclose(top.predict_on_batch(activations), model.predict_on_batch(pixels()), atol=1e-6)
