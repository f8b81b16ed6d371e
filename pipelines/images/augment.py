"""Builds the function that makes views of an image by a policy, each drawn from the image, the view and the seed.

A view depends on the image's content, the view's number and the seed alone, not on the batch it is in or on what was
drawn before, so that a view can be computed again, or taken from the feature cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import keras
import tensorflow as tf

from models.arrays import Tensor
from models.errors import UserError
from pipelines.images.crop import RandomResizedCrop
from pipelines.images.fancy_pca import fancy_pca
from pipelines.images.policy import Policy, PolicyStep
from pipelines.images.rand_augment import aug_mix, rand_augment
from pipelines.images.stateless_layers import (
    SATURATION_RANGE,
    PerImageSeeds,
    Transform,
    fold_in,
    gaussian_noise,
    keras_transform,
    rotate90,
    with_probability,
)
from pipelines.images.warp import MATRICES, matrix_of, warp

# (image float32 (size, size, 3) in [0, 255], seed int32 (2,) of the image's content, view int32) -> image
Augmenter = Callable[[Tensor, Tensor, Tensor], Tensor]
Built = TypeVar("Built")
# Layers that Keras lacks; the others have its names.
OWN_LAYERS: dict[str, Callable[..., keras.layers.Layer]] = {"RandomResizedCrop": RandomResizedCrop}
# Layers that are functions of their arguments and return a transform.
TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "FancyPCA": fancy_pca,
    "GaussianNoise": gaussian_noise,
    "Rotate90": rotate90,
    "RandAugment": rand_augment,
    "AugMix": aug_mix,
}
DEFAULTS: dict[str, dict[str, tuple[float, float]]] = {"RandomSaturation": {"value_range": SATURATION_RANGE}}


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
    transforms = _build_transforms(policy)

    def augment(image: Tensor, seed: Tensor, view: Tensor) -> Tensor:
        def augmented() -> Tensor:
            key, result = fold_in(seed, view), image
            for number, transform in enumerate(transforms):
                result = transform(result, fold_in(key, number))
            return tf.ensure_shape(tf.clip_by_value(result, 0.0, 255.0), [size, size, 3])

        return tf.cond(view > 0, augmented, lambda: image)

    return augment


def _build_transforms(policy: Policy) -> list[Transform]:
    """A transform for each step; steps in a row that only move pixels share one resampling: faster and sharper."""
    transforms: list[Transform] = []
    moves: list[keras.layers.Layer] = []
    for step in policy.steps:
        if step.layer in TRANSFORMS:
            transform = _construct(policy.name, step, TRANSFORMS[step.layer])
        else:
            layer = _construct(policy.name, step, OWN_LAYERS.get(step.layer) or getattr(keras.layers, step.layer))
            is_move = step.layer in MATRICES and _mirrors_outside(step)
            if is_move and step.probability == 1:
                moves.append(layer)
                continue
            transform = _move((layer,)) if is_move else keras_transform(layer)
        if moves:
            transforms.append(_move(tuple(moves)))
            moves = []
        transforms.append(with_probability(transform, step.probability))
    return [*transforms, _move(tuple(moves))] if moves else transforms


def _construct(policy_name: str, step: PolicyStep, build: Callable[..., Built]) -> Built:
    """Call `build`, a layer or a function that returns a transform, with the arguments of a step."""
    arguments = {**DEFAULTS.get(step.layer, {}), **step.arguments}
    # TOML has lists where Keras asks for tuples.
    arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    try:
        return build(**arguments)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(
            f"the policy `{policy_name}`: `{step.layer}` does not take these arguments: {reason}"
        ) from error


def _mirrors_outside(step: PolicyStep) -> bool:
    """Whether a step leaves it to `warp` how places outside the image are filled.

    Keras' perspective can only fill them with a constant, black unless asked otherwise; here it mirrors unless asked.
    """
    if step.layer == "RandomPerspective":
        return "fill_value" not in step.arguments
    return bool(step.arguments.get("fill_mode", "reflect") == "reflect")


def _move(layers: tuple[keras.layers.Layer, ...]) -> Transform:
    """Layers that only move pixels, one after the other, as one transform."""

    def transform(image: Tensor, key: Tensor) -> Tensor:
        to_source = tf.eye(3)
        for number, layer in enumerate(layers):
            transformation = layer.get_random_transformation(
                image[tf.newaxis], training=True, seed=PerImageSeeds(fold_in(key, number))
            )
            # Each matrix leads from a place in the result to one in the source, so the last layer comes first.
            to_source = to_source @ matrix_of(layer, transformation, image.shape[0])
        return warp(image, to_source)

    return transform
