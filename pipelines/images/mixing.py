"""Builds the function that mixes the images of a batch and their labels: mixup and cutmix."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from models.arrays import Tensor
from pipelines.images.policy import Policy
from pipelines.images.stateless_layers import PerImageSeeds, fold_in

# (images, one-hot labels, seed int32 (2,)) -> (images, soft labels)
Mixer = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def build_mixer(policy: Policy) -> Mixer | None:
    """Build what a policy mixes batches with; None where it asks for neither mixup nor cutmix.

    Sources: mixup, Zhang et al. 2018 (arXiv 1710.09412); CutMix, Yun et al. 2019 (arXiv 1905.04899).

    Returns:
        (images float32 (batch, height, width, 3), labels one-hot float32 (batch, classes), seed int32 (2,)) -> images
        and soft labels of the same shapes. With both methods, each batch takes one of them, with equal probability.
    """
    mixing_layers = []
    if policy.mixup:
        mixing_layers.append(keras.layers.MixUp(alpha=policy.mixup))
    if policy.cutmix:
        mixing_layers.append(keras.layers.CutMix(factor=policy.cutmix))
    if not mixing_layers:
        return None

    def mix(images: Tensor, labels: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        def with_layer(layer: keras.layers.Layer) -> tuple[Tensor, Tensor]:
            batch = {"images": images, "labels": labels}
            transformation = layer.get_random_transformation(batch, training=True, seed=PerImageSeeds(fold_in(seed, 1)))
            return layer.transform_images(images, transformation), layer.transform_labels(labels, transformation)

        choice = tf.random.stateless_uniform([], fold_in(seed, 0), 0, len(mixing_layers), tf.int32)
        mixed, soft = tf.switch_case(choice, [lambda layer=layer: with_layer(layer) for layer in mixing_layers])
        return tf.ensure_shape(mixed, images.shape), tf.ensure_shape(soft, labels.shape)

    return mix
