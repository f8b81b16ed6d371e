"""A small frozen base, pixels for it, and what plain Keras makes of them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from models.arrays import FeatureRows, Pixels

SIDE = 16


def randomize(model: keras.Model) -> None:
    """Move statistics, scales and biases far from their initial values."""
    rng = np.random.default_rng(7)
    for weight in model.weights:
        if weight.dtype != "float32":
            continue
        if "variance" in weight.name:
            weight.assign(rng.uniform(0.3, 2.0, weight.shape))
        elif weight.name in ("gamma", "beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0.5, 0.5, weight.shape))


def small() -> keras.Model:
    """A convolution, batch normalisation and pooling: pixels -> 8 features."""
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(x))
    model = keras.Model(pixels, layers.GlobalAveragePooling2D()(layers.Activation("relu")(x)))
    randomize(model)
    return model


def pictures(count: int, size: int = SIDE) -> Pixels:
    """Noise pixels (count, size, size, 3)."""
    return np.random.default_rng(3).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def plain(model: keras.Model, pixels: Pixels) -> FeatureRows:
    """Features by plain Keras."""
    return np.asarray(model(pixels, training=False), np.float32)


def relative_difference(features: FeatureRows, reference: FeatureRows) -> float:
    """||features - reference|| / ||reference||."""
    return float(np.linalg.norm(features - reference) / np.linalg.norm(reference))
