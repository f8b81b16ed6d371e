"""RandAugment and AugMix: operations drawn for each image, of which only the drawn ones are computed.

Keras' own RandAugment hands one range, [0, strength], to all its layers: rotation, translation, brightness and contrast
go one way only, and sharpness, posterization and solarization change an image the more the smaller the strength is.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from models.arrays import Tensor
from pipelines.images.stateless_layers import SATURATION_RANGE, Transform, fold_in, keras_transform, with_probability

# How often an operation of an AugMix chain is applied.
AUG_MIX_PROBABILITY = 0.75
# The greatest change of colour, contrast and sharpness: factors from 0.1 to 1.9.
GREATEST_CHANGE = 0.9
MOST_OPERATIONS = 16


def rand_augment(num_ops: int = 2, factor: float = 0.3, color: bool = True) -> Transform:
    """RandAugment (Cubuk et al. 2020, arXiv 1909.13719): `num_ops` operations, one after the other.

    Args:
        num_ops: operations an image, from 0 to 16.
        factor: their strength, in [0, 1]; 1 is the paper's magnitude 10.
        color: draw from the operations on colours too, not from the geometric ones alone.

    Raises:
        ValueError: an argument is out of range.
    """
    _require_count("num_ops", num_ops, least=0)
    operation = random_operation(factor, color)

    def transform(image: Tensor, key: Tensor) -> Tensor:
        for number in range(num_ops):
            image = tf.clip_by_value(operation(image, fold_in(key, number)), 0.0, 255.0)
        return image

    return transform


def aug_mix(
    num_chains: int = 3, chain_depth: int = 3, factor: float = 0.3, alpha: float = 1.0, color: bool = True
) -> Transform:
    """AugMix (Hendrycks et al. 2020, arXiv 1912.02781): the image mixed with chains of operations on it.

    Args:
        num_chains: chains that are mixed, with shares from a Dirichlet distribution; from 1 to 16.
        chain_depth: operations a chain, from 1 to 16.
        factor: their strength, in [0, 1]; 0.3 is the paper's severity 3.
        alpha: of the Dirichlet distribution, and of the beta distribution of the original's share; above 0.
        color: draw from the operations on colours too, not from the geometric ones alone.

    Raises:
        ValueError: an argument is out of range.
    """
    _require_count("num_chains", num_chains, least=1)
    _require_count("chain_depth", chain_depth, least=1)
    if not alpha > 0:
        raise ValueError(f"`alpha` must be above 0, got {alpha:g}")
    operation = with_probability(random_operation(factor, color), AUG_MIX_PROBABILITY)

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


def random_operation(factor: float, color: bool) -> Transform:
    """One of the operations, drawn for each image; only the drawn operation is computed."""
    if not 0 <= factor <= 1:
        raise ValueError(f"`factor` must be from 0 to 1, got {factor:g}")
    table = GEOMETRIC | COLOUR if color else GEOMETRIC
    operations = [build(factor) for build in table.values()]

    def transform(image: Tensor, key: Tensor) -> Tensor:
        choice = tf.random.stateless_uniform([], fold_in(key, 0), 0, len(operations), tf.int32)
        branches = [lambda operation=operation: operation(image, fold_in(key, 1)) for operation in operations]
        return tf.switch_case(choice, branches)

    # Traced once, however often an image is taken through it.
    return tf.function(transform, autograph=False)


def _require_count(name: str, count: int, *, least: int) -> None:
    """Refuse what is not a number of operations; each one is a part of the graph, and takes time to build."""
    if isinstance(count, bool) or not isinstance(count, int) or not least <= count <= MOST_OPERATIONS:
        raise ValueError(f"`{name}` must be a whole number from {least} to {MOST_OPERATIONS}, got {count}")


def _solarization(strength: float) -> Transform:
    """Invert what is brighter than a threshold from white down to 1 - strength of white.

    Keras' layer draws the threshold from black on, and so inverts most of an image at a small strength.
    """

    def transform(image: Tensor, key: Tensor) -> Tensor:
        threshold = 255.0 * (1 - strength * tf.random.stateless_uniform([], key))
        return tf.where(image > threshold, 255.0 - image, image)

    return transform


def _saturation(strength: float) -> Transform:
    # The layer's factor f multiplies the saturation by f / (1 - f); a pair of ends around 1.
    change = GREATEST_CHANGE * strength
    ends = (1 - change) / (2 - change), (1 + change) / (2 + change)
    return keras_transform(keras.layers.RandomSaturation(ends, value_range=SATURATION_RANGE))


def _contrast(strength: float) -> Transform:
    return keras_transform(keras.layers.RandomContrast((GREATEST_CHANGE * strength,) * 2))


def _sharpness(strength: float) -> Transform:
    # The layer leaves an image as it is at 0.5, blurs it at 0 and sharpens it at 1.
    change = GREATEST_CHANGE * strength / 2
    return keras_transform(keras.layers.RandomSharpness((0.5 - change, 0.5 + change)))


def _posterization(strength: float) -> Transform:
    # A pair: of one number, the layer draws fewer bits too, down to 1.
    return keras_transform(keras.layers.RandomPosterization((8 - round(4 * strength),) * 2))


# Operation -> its transform at a strength in [0, 1]. At 1 a shear of 0.3, a shift by 0.45 of the side and a turn by 30
# degrees, each in both directions, and 4 bits a channel: the magnitudes of Cubuk et al. 2019 (arXiv 1805.09501), whose
# operations RandAugment takes over.
GEOMETRIC: dict[str, Callable[[float], Transform]] = {
    "shear": lambda strength: keras_transform(keras.layers.RandomShear(0.3 * strength, 0.3 * strength)),
    "translation": lambda strength: keras_transform(keras.layers.RandomTranslation(0.45 * strength, 0.45 * strength)),
    "rotation": lambda strength: keras_transform(keras.layers.RandomRotation(strength / 12)),
}
COLOUR: dict[str, Callable[[float], Transform]] = {
    # Added to the pixels, where the paper multiplies: half the range at most.
    "brightness": lambda strength: keras_transform(keras.layers.RandomBrightness(strength / 2)),
    "saturation": _saturation,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "solarization": _solarization,
    "posterization": _posterization,
    "auto contrast": lambda strength: keras_transform(keras.layers.AutoContrast()),
    "equalization": lambda strength: keras_transform(keras.layers.Equalization()),
}
