"""Small networks with random weights, of the kinds that runs have."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from models.classifier import build_classifier
from models.heads import HEADS, build_head
from models.levels import add_levels

SIZE, CLASSES = 32, 3


def backbone(seed: int = 0, *, pools: bool = False) -> keras.Model:
    """Three convolutions; pixels (32, 32, 3) -> (8, 8, 12).

    Args:
        seed: of the weights.
        pools: whether it averages between convolutions instead of skipping every other place. Where it skips, some
            pixels are seen by more kernels than others, whatever the weights.
    """
    pixels = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(pixels)
    for number, (filters, stride) in enumerate(((8, 2), (10, 2), (12, 1)), 1):
        kernel = keras.initializers.HeNormal(seed=seed + number)
        options = {"kernel_initializer": kernel, "bias_initializer": keras.initializers.RandomNormal(0, 0.3, seed)}
        steps = 1 if pools else stride
        x = layers.Conv2D(filters, 3, steps, padding="same", name=f"block{number}_conv", **options)(x)
        x = layers.ReLU(name=f"block{number}_relu")(x)
        x = layers.AveragePooling2D(2, name=f"block{number}_pool")(x) if pools and stride > 1 else x
    return keras.Model(pixels, x, name="backbone")


def head(num_features: int, seed: int, name: str = "linear") -> keras.Model:
    """With random weights, the bias too."""
    built = build_head(HEADS[name], num_features=num_features, num_classes=CLASSES)
    rng = np.random.default_rng(seed)
    built.set_weights(
        [
            np.abs(values) if values.ndim == 1 and (values == 1).all() else rng.normal(0, 0.5, values.shape)
            for values in built.get_weights()
        ]
    )
    return built


def classifier(
    seed: int = 0, *, levels: bool = False, mirror: bool = False, head_name: str = "linear", pools: bool = False
) -> keras.Model:
    """A run's model."""
    network = add_levels(backbone(seed)) if levels else backbone(seed, pools=pools)
    return build_classifier(network, head(int(network.output_shape[-1]), seed, head_name), mirror=mirror)


def images(count: int = 3, seed: int = 0) -> np.ndarray:
    """Random pixels (count, 32, 32, 3) in [0, 255]."""
    return np.random.default_rng(seed).uniform(0, 255, (count, SIZE, SIZE, 3)).astype(np.float32)


def resized(maps: np.ndarray) -> np.ndarray:
    """Maps (batch, h, w) at the network's square, their sum kept: by Keras, each on its own."""
    area = maps.shape[1] * maps.shape[2] / SIZE**2
    return area * np.asarray(keras.ops.image.resize(maps[..., None], (SIZE, SIZE), interpolation="bilinear"))[..., 0]
