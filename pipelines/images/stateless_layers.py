"""Draws random image layers from a key, not from a counter: Keras' layers, and five that Keras lacks for tf.data."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from models.arrays import Tensor
from pipelines.images.fancy_pca import fancy_pca

# (image float32 (size, size, 3) in [0, 255], key int32 (2,)) -> image
Transform = Callable[[Tensor, Tensor], Tensor]
# Layers inside Keras' RandAugment, by the names of its attributes.
GEOMETRIC = ("random_shear", "random_translation", "random_rotation")
COLOUR = (
    "random_brightness",
    "random_color_degeneration",
    "random_contrast",
    "random_sharpness",
    "solarization",
    "random_posterization",
    "auto_contrast",
    "equalization",
)
# How often an operation of an AugMix chain is applied.
AUG_MIX_PROBABILITY = 0.75


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

    def transform(image: Tensor, key: Tensor) -> Tensor:
        images = image[tf.newaxis]
        transformation = layer.get_random_transformation(images, training=True, seed=PerImageSeeds(key))
        return tf.ensure_shape(layer.transform_images(images, transformation, training=True)[0], image.shape)

    return transform


def with_probability(transform: Transform, probability: float) -> Transform:
    """A transform that is applied with a probability in (0, 1], and otherwise leaves the image as it is."""
    if probability == 1:
        return transform

    def maybe(image: Tensor, key: Tensor) -> Tensor:
        is_applied = tf.random.stateless_uniform([], fold_in(key, 0)) < probability
        return tf.cond(is_applied, lambda: transform(image, fold_in(key, 1)), lambda: image)

    return maybe


def _rotate90() -> Transform:
    """A turn by 0, 90, 180 or 270 degrees, each as often as the others."""

    def transform(image: Tensor, key: Tensor) -> Tensor:
        return tf.image.rot90(image, tf.random.stateless_uniform([], key, 0, 4, tf.int32))

    return transform


def _gaussian_noise(stddev: float) -> Transform:
    """Normal noise of standard deviation `stddev`, in grey levels, on every channel of every pixel."""

    def transform(image: Tensor, key: Tensor) -> Tensor:
        return image + tf.random.stateless_normal(tf.shape(image), key, stddev=stddev)

    return transform


def _random_operation(factor: float, color: bool) -> Transform:
    """One of the operations of RandAugment, drawn for each image; only the drawn operation is computed."""
    layer = keras.layers.RandAugment(factor=factor)
    names = (*GEOMETRIC, *(COLOUR if color else ()))
    operations = [keras_transform(getattr(layer, name)) for name in names]

    def transform(image: Tensor, key: Tensor) -> Tensor:
        choice = tf.random.stateless_uniform([], fold_in(key, 0), 0, len(operations), tf.int32)
        branches = [lambda operation=operation: operation(image, fold_in(key, 1)) for operation in operations]
        return tf.switch_case(choice, branches)

    # Traced once, however often an image is taken through it.
    return tf.function(transform)


def _rand_augment(num_ops: int = 2, factor: float = 0.3, color: bool = True) -> Transform:
    """RandAugment (Cubuk et al. 2020, arXiv 1909.13719): `num_ops` of Keras' operations, one after the other.

    Args:
        num_ops: operations an image.
        factor: their strength, in [0, 1].
        color: draw from the operations on colours too, not from the geometric ones alone.
    """
    operation = _random_operation(factor, color)

    def transform(image: Tensor, key: Tensor) -> Tensor:
        for number in range(num_ops):
            image = tf.clip_by_value(operation(image, fold_in(key, number)), 0.0, 255.0)
        return image

    return transform


def _aug_mix(
    num_chains: int = 3, chain_depth: int = 3, factor: float = 0.3, alpha: float = 1.0, color: bool = True
) -> Transform:
    """AugMix (Hendrycks et al. 2020, arXiv 1912.02781): the image mixed with chains of operations on it.

    Args:
        num_chains: chains that are mixed, with shares from a Dirichlet distribution.
        chain_depth: operations a chain.
        factor: their strength, in [0, 1].
        alpha: of the Dirichlet distribution, and of the beta distribution of the original's share.
        color: draw from the operations on colours too, not from the geometric ones alone.
    """
    operation = with_probability(_random_operation(factor, color), AUG_MIX_PROBABILITY)

    def transform(image: Tensor, key: Tensor) -> Tensor:
        # Gamma variables divided by their sum follow a Dirichlet distribution; for two, a beta distribution.
        shares = tf.random.stateless_gamma([num_chains], fold_in(key, 0), alpha)
        shares /= tf.reduce_sum(shares)
        pair = tf.random.stateless_gamma([2], fold_in(key, 1), alpha)
        chains = tf.zeros_like(image)
        for number in range(num_chains):
            chain = image
            for depth in range(chain_depth):
                chain = operation(chain, fold_in(fold_in(key, 2 + number), depth))
            chains += shares[number] * tf.clip_by_value(chain, 0.0, 255.0)
        share_of_original = pair[0] / tf.reduce_sum(pair)
        return share_of_original * image + (1 - share_of_original) * chains

    return transform


# Layer of a policy -> a function of its arguments that returns a transform; all other layers are Keras'.
TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "FancyPCA": fancy_pca,
    "GaussianNoise": _gaussian_noise,
    "Rotate90": _rotate90,
    "RandAugment": _rand_augment,
    "AugMix": _aug_mix,
}
