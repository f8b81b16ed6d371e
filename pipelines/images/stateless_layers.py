"""Draws random image layers from a key, not from a counter: Keras' layers, and two that Keras lacks."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from models.arrays import Tensor

# (image float32 (size, size, 3) in [0, 255], key int32 (2,)) -> image
Transform = Callable[[Tensor, Tensor], Tensor]
# Keras clips saturation, which lies in [0, 1], to this range whatever the range of the pixels.
SATURATION_RANGE = (0.0, 1.0)
# Layer -> how far from a pixel it looks. Beside the image Keras sees black, which would darken the rim.
REACH: dict[str, Callable[[keras.layers.Layer], int]] = {
    "RandomGaussianBlur": lambda layer: int(max(layer.kernel_size)) // 2,
    "RandomSharpness": lambda layer: 1,
}


class PerImageSeeds(keras.random.SeedGenerator):
    """Seeds for a layer's draws that depend on a key alone; Keras' generator counts on in a variable instead."""

    def __init__(self, key: Tensor) -> None:
        # The parent's initialiser would make that variable, for every image.
        self.key = key
        self.num_drawn = 0

    def next(self, ordered: bool = True) -> Tensor:
        """The seed of the next draw, int32 (2,)."""
        self.num_drawn += 1
        return fold_in(self.key, self.num_drawn)


def fold_in(key: Tensor, number: Tensor | int) -> Tensor:
    """A new key, int32 (2,), from a key and a number."""
    return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int32))


def keras_transform(layer: keras.layers.Layer) -> Transform:
    """A Keras image layer as a transform; `layer(image)` would draw by its counter."""
    reach = REACH.get(type(layer).__name__, lambda layer: 0)(layer)

    def transform(image: Tensor, key: Tensor) -> Tensor:
        height, width = image.shape[:2]
        rim = min(reach, height, width)
        images = tf.pad(image, [[rim, rim], [rim, rim], [0, 0]], "SYMMETRIC")[tf.newaxis] if rim else image[tf.newaxis]
        transformation = layer.get_random_transformation(images, training=True, seed=PerImageSeeds(key))
        transformed = layer.transform_images(images, transformation, training=True)
        return tf.ensure_shape(transformed[0, rim : rim + height, rim : rim + width], image.shape)

    return transform


def with_probability(transform: Transform, probability: float) -> Transform:
    """A transform that is applied with a probability in (0, 1], and otherwise leaves the image as it is."""
    if probability == 1:
        return transform

    def maybe(image: Tensor, key: Tensor) -> Tensor:
        is_applied = tf.random.stateless_uniform([], fold_in(key, 0)) < probability
        return tf.cond(is_applied, lambda: transform(image, fold_in(key, 1)), lambda: image)

    return maybe


def rotate90() -> Transform:
    """A turn by 0, 90, 180 or 270 degrees, each as often as the others."""

    def transform(image: Tensor, key: Tensor) -> Tensor:
        return tf.image.rot90(image, tf.random.stateless_uniform([], key, 0, 4, tf.int32))

    return transform


def gaussian_noise(stddev: float) -> Transform:
    """Normal noise of standard deviation `stddev`, in grey levels, on every channel of every pixel.

    Raises:
        ValueError: `stddev` is negative.
        TypeError: it is not a number.
    """
    if stddev < 0:
        raise ValueError(f"`stddev` must not be negative, got {stddev:g}")

    def transform(image: Tensor, key: Tensor) -> Tensor:
        return image + tf.random.stateless_normal(tf.shape(image), key, stddev=stddev)

    return transform
