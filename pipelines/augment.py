"""Views of an image: policies of Keras layers, drawn from a key that belongs to the image and the view.

A view depends on the image's content, the view's number and the seed alone, not on the batch it is in or on what was
drawn before: so that a view can be computed again, or taken from the feature cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.errors import UserError
from pipelines.policies import (
    POLICIES,
    Policy,
    Step,
    Switches,
    default_views,
    find_policy,
    policy_digest,
)
from pipelines.warp import WARPS, matrix, warp

__all__ = [
    "POLICIES",
    "Augmenter",
    "Policy",
    "Switches",
    "build_augmenter",
    "build_mixer",
    "default_views",
    "find_policy",
    "policy_digest",
]

Tensor = Any  # TensorFlow carries no types
# (image float32 (size, size, 3) in [0, 255], seed int32 (2,) of the image's content, view int32) -> image
Augmenter = Callable[[Tensor, Tensor, Tensor], Tensor]
# (images, one-hot labels, seed int32 (2,)) -> (images, soft labels)
Mixer = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
# (image, key int32 (2,)) -> image
Apply = Callable[[Tensor, Tensor], Tensor]

# Keras clips saturation, which lies in [0, 1], to this range whatever the range of the pixels.
DEFAULTS: dict[str, dict[str, Any]] = {"RandomSaturation": {"value_range": (0.0, 1.0)}}
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


class KeyedSeeds(keras.random.SeedGenerator):
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


def build_augmenter(policy: str, *, size: int, switches: Switches | None = None) -> Augmenter:
    """Build the function that makes a view of an image, for use inside tf.data.

    Args:
        policy: a name of `POLICIES`, or a TOML file.
        size: side of the images, pixels.
        switches: what is known of the pictures.

    Returns:
        (image float32 (size, size, 3) in [0, 255], seed int32 (2,), view int32) -> image of the same kind. View 0 is
        the image itself.

    Raises:
        UserError: there is no such policy, or a step has arguments that its layer does not take.
    """
    pieces = _fused(policy, find_policy(policy, switches).steps)

    def augment(image: Tensor, seed: Tensor, view: Tensor) -> Tensor:
        def changed() -> Tensor:
            key, result = fold(seed, view), image
            for number, piece in enumerate(pieces):
                result = piece(result, fold(key, number))
            return tf.ensure_shape(tf.clip_by_value(result, 0.0, 255.0), [size, size, 3])

        return tf.cond(view > 0, changed, lambda: image)

    return augment


def build_mixer(policy: Policy) -> Mixer | None:
    """Mixup and cutmix as a policy wants them, for whole batches; None where it wants neither.

    Returns:
        (images (batch, height, width, 3), labels one-hot (batch, classes), seed int32 (2,)) -> images and soft labels.
    """
    layers = []
    if policy.mixup:
        layers.append(keras.layers.MixUp(alpha=policy.mixup))
    if policy.cutmix:
        layers.append(keras.layers.CutMix(factor=policy.cutmix))
    if not layers:
        return None

    def mix(images: Tensor, labels: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        def with_layer(layer: Any) -> tuple[Tensor, Tensor]:
            batch = {"images": images, "labels": labels}
            drawn = layer.get_random_transformation(batch, training=True, seed=KeyedSeeds(fold(seed, 1)))
            return layer.transform_images(images, drawn), layer.transform_labels(labels, drawn)

        which = tf.random.stateless_uniform([], fold(seed, 0), 0, len(layers), tf.int32)
        mixed, soft = tf.switch_case(which, [lambda layer=layer: with_layer(layer) for layer in layers])
        return tf.ensure_shape(mixed, images.shape), tf.ensure_shape(soft, labels.shape)

    return mix


def _fused(policy: str, steps: tuple[Step, ...]) -> list[Apply]:
    """One function a step; neighbouring steps that only move pixels become one resampling: faster and sharper."""
    pieces: list[Apply] = []
    moving: list[Any] = []
    for step in steps:
        layer = _layer(policy, step)
        if step.layer in WARPS and step.probability == 1 and getattr(layer, "fill_mode", "reflect") == "reflect":
            moving.append(layer)
            continue
        if moving:
            pieces.append(_warped(tuple(moving)))
            moving = []
        pieces.append(_sometimes(layer if callable(layer) and step.layer in OWN else _applied(layer), step.probability))
    return [*pieces, _warped(tuple(moving))] if moving else pieces


def _layer(policy: str, step: Step) -> Any:
    arguments = {**DEFAULTS.get(step.layer, {}), **step.arguments}
    # TOML has lists where Keras asks for tuples.
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    build = OWN.get(step.layer) or getattr(keras.layers, step.layer)
    try:
        return build(**arguments)
    except (TypeError, ValueError) as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(f"the policy `{policy}`: `{step.layer}` does not take these arguments: {said}") from error


def _warped(layers: tuple[Any, ...]) -> Apply:
    def apply(image: Tensor, key: Tensor) -> Tensor:
        whole = tf.eye(3)
        for number, layer in enumerate(layers):
            drawn = layer.get_random_transformation(
                image[tf.newaxis], training=True, seed=KeyedSeeds(fold(key, number))
            )
            # Each matrix leads from a place in the result to one in the source: the last step is asked first.
            whole = whole @ matrix(layer, drawn, image.shape[0])
        return warp(image, whole)

    return apply


def _applied(layer: Any) -> Apply:
    def apply(image: Tensor, key: Tensor) -> Tensor:
        images = image[tf.newaxis]
        drawn = layer.get_random_transformation(images, training=True, seed=KeyedSeeds(key))
        return tf.ensure_shape(layer.transform_images(images, drawn, training=True)[0], image.shape)

    return apply


def _sometimes(apply: Apply, probability: float) -> Apply:
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
    applies = [_applied(getattr(layer, name)) for name in names]

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
    operation = _sometimes(_choice(factor, color), 0.75)

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
