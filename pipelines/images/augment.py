"""Makes views of an image by a policy of Keras layers, drawn from a key that belongs to the image and the view.

A view depends on the image's content, the view's number and the seed alone, not on the batch it is in or on what was
drawn before, so that a view can be computed again, or taken from the feature cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.errors import UserError
from pipelines.images.policy import Policy, PolicyStep
from pipelines.images.stateless_layers import OWN, Apply, PerImageSeeds, applied, fold, sometimes
from pipelines.images.warp import WARPS, matrix, warp

Tensor = Any  # TensorFlow carries no types
# (image float32 (size, size, 3) in [0, 255], seed int32 (2,) of the image's content, view int32) -> image
Augmenter = Callable[[Tensor, Tensor, Tensor], Tensor]
# (images, one-hot labels, seed int32 (2,)) -> (images, soft labels)
Mixer = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
# Keras clips saturation, which lies in [0, 1], to this range whatever the range of the pixels.
DEFAULTS: dict[str, dict[str, Any]] = {"RandomSaturation": {"value_range": (0.0, 1.0)}}


def build_augmenter(policy: Policy, *, size: int) -> Augmenter:
    """Build the function that makes a view of an image, for use inside tf.data.

    Args:
        policy: from `pipelines.images.policies.find_policy`.
        size: side of the images, pixels.

    Returns:
        (image float32 (size, size, 3) in [0, 255], seed int32 (2,), view int32) -> image of the same kind. View 0 is
        the image itself.

    Raises:
        UserError: a step has arguments that its layer does not take.
    """
    pieces = _fused(policy)

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
            drawn = layer.get_random_transformation(batch, training=True, seed=PerImageSeeds(fold(seed, 1)))
            return layer.transform_images(images, drawn), layer.transform_labels(labels, drawn)

        which = tf.random.stateless_uniform([], fold(seed, 0), 0, len(layers), tf.int32)
        mixed, soft = tf.switch_case(which, [lambda layer=layer: with_layer(layer) for layer in layers])
        return tf.ensure_shape(mixed, images.shape), tf.ensure_shape(soft, labels.shape)

    return mix


def _fused(policy: Policy) -> list[Apply]:
    """One function a step; neighbouring steps that only move pixels become one resampling: faster and sharper."""
    pieces: list[Apply] = []
    moving: list[Any] = []
    for step in policy.steps:
        layer = _layer(policy.name, step)
        if step.layer in WARPS and step.probability == 1 and getattr(layer, "fill_mode", "reflect") == "reflect":
            moving.append(layer)
            continue
        if moving:
            pieces.append(_warped(tuple(moving)))
            moving = []
        pieces.append(sometimes(layer if callable(layer) and step.layer in OWN else applied(layer), step.probability))
    return [*pieces, _warped(tuple(moving))] if moving else pieces


def _layer(policy_name: str, step: PolicyStep) -> Any:
    arguments = {**DEFAULTS.get(step.layer, {}), **step.arguments}
    # TOML has lists where Keras asks for tuples.
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    build = OWN.get(step.layer) or getattr(keras.layers, step.layer)
    try:
        return build(**arguments)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(
            f"the policy `{policy_name}`: `{step.layer}` does not take these arguments: {reason}"
        ) from error


def _warped(layers: tuple[Any, ...]) -> Apply:
    def apply(image: Tensor, key: Tensor) -> Tensor:
        whole = tf.eye(3)
        for number, layer in enumerate(layers):
            drawn = layer.get_random_transformation(
                image[tf.newaxis], training=True, seed=PerImageSeeds(fold(key, number))
            )
            # Each matrix leads from a place in the result to one in the source: the last step is asked first.
            whole = whole @ matrix(layer, drawn, image.shape[0])
        return warp(image, whole)

    return apply
