"""Layers drawn from a key, not from a counter: Keras' own, and the few that Keras does not draw for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Tensor = Any  # TensorFlow carries no types
# (image float32 (size, size, 3), key int32 (2,)) -> image
Apply = Callable[[Tensor, Tensor], Tensor]
GEOMETRIC = ("random_shear", "random_translation", "random_rotation")
COLOURFUL = (
    "random_brightness",
    "random_color_degeneration",
    "random_contrast",
    "random_sharpness",
    "solarization",
    "random_posterization",
    "auto_contrast",
    "equalization",
)


class PerImageSeeds(keras.random.SeedGenerator):
    """Seeds for a layer's draws that depend on a key alone; Keras' generator counts on in a variable instead."""

    def __init__(self, key: Tensor) -> None:
        # The parent's initialiser would make that variable, for every image.
        self.key = key
        self.drawn = 0

    def next(self, ordered: bool = True) -> Tensor:
        """The seed of the next draw, int32 (2,)."""
        self.drawn += 1
        return fold(self.key, self.drawn)


def fold(key: Tensor, number: Tensor | int) -> Tensor:
    """A new key, int32 (2,), from a key and a number."""
    return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int32))


def applied(layer: Any) -> Apply:
    """A Keras image layer on one image; `layer(image)` would draw by its own counter."""

    def apply(image: Tensor, key: Tensor) -> Tensor:
        images = image[tf.newaxis]
        drawn = layer.get_random_transformation(images, training=True, seed=PerImageSeeds(key))
        return tf.ensure_shape(layer.transform_images(images, drawn, training=True)[0], image.shape)

    return apply


def sometimes(apply: Apply, probability: float) -> Apply:
    """Apply it with a probability, and leave the image as it is otherwise."""
    if probability == 1:
        return apply

    def maybe(image: Tensor, key: Tensor) -> Tensor:
        taken = tf.random.stateless_uniform([], fold(key, 0)) < probability
        return tf.cond(taken, lambda: apply(image, fold(key, 1)), lambda: image)

    return maybe


def _rotate90() -> Apply:
    def apply(image: Tensor, key: Tensor) -> Tensor:
        return tf.image.rot90(image, tf.random.stateless_uniform([], key, 0, 4, tf.int32))

    return apply


def _gaussian_noise(stddev: float) -> Apply:
    def apply(image: Tensor, key: Tensor) -> Tensor:
        return image + tf.random.stateless_normal(tf.shape(image), key, stddev=stddev)

    return apply


def _choice(factor: float, color: bool) -> Apply:
    """One of the operations of RandAugment, drawn for each image; only the drawn one is computed."""
    layer = keras.layers.RandAugment(factor=factor)
    names = (*GEOMETRIC, *(COLOURFUL if color else ()))
    applies = [applied(getattr(layer, name)) for name in names]

    def apply(image: Tensor, key: Tensor) -> Tensor:
        which = tf.random.stateless_uniform([], fold(key, 0), 0, len(applies), tf.int32)
        return tf.switch_case(which, [lambda each=each: each(image, fold(key, 1)) for each in applies])

    # Traced once, however often an image is taken through it.
    return tf.function(apply)


def _rand_augment(num_ops: int = 2, factor: float = 0.3, color: bool = True) -> Apply:
    """RandAugment (Cubuk et al. 2020, arXiv 1909.13719) of Keras' operations."""
    operation = _choice(factor, color)

    def apply(image: Tensor, key: Tensor) -> Tensor:
        for number in range(num_ops):
            image = tf.clip_by_value(operation(image, fold(key, number)), 0.0, 255.0)
        return image

    return apply


def _aug_mix(
    num_chains: int = 3, chain_depth: int = 3, factor: float = 0.3, alpha: float = 1.0, color: bool = True
) -> Apply:
    """AugMix (Hendrycks et al. 2020, arXiv 1912.02781): the image mixed with chains of operations on it."""
    operation = sometimes(_choice(factor, color), 0.75)

    def apply(image: Tensor, key: Tensor) -> Tensor:
        shares = tf.random.stateless_gamma([num_chains], fold(key, 0), alpha)
        shares /= tf.reduce_sum(shares)
        pair = tf.random.stateless_gamma([2], fold(key, 1), alpha)
        mixed = tf.zeros_like(image)
        for chain in range(num_chains):
            changed = image
            for depth in range(chain_depth):
                changed = operation(changed, fold(fold(key, 2 + chain), depth))
            mixed += shares[chain] * tf.clip_by_value(changed, 0.0, 255.0)
        own = pair[0] / tf.reduce_sum(pair)
        return own * image + (1 - own) * mixed

    return apply


OWN: dict[str, Callable[..., Apply]] = {
    "GaussianNoise": _gaussian_noise,
    "Rotate90": _rotate90,
    "RandAugment": _rand_augment,
    "AugMix": _aug_mix,
}
