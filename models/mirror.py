"""Makes a network average its features over an image and its mirror image, and takes that away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

# The layer that gives the features of one image alone.
SINGLE = "single_image"


def add_mirror(extractor: keras.Model) -> keras.Model:
    """Average features over each image and its mirror image, left and right exchanged.

    Args:
        extractor: from `models.classifier.build_feature_extractor`; its layers and weights are shared.

    Returns:
        A model named `backbone` of the same shapes. Both images pass the network in one batch of twice the size.
    """
    import keras
    from keras import ops

    pixels = keras.Input(extractor.input_shape[1:], name="pixels")
    single = keras.Model(extractor.inputs[0], extractor.outputs[0], name=SINGLE)
    features = single(ops.concatenate([pixels, ops.flip(pixels, axis=2)], axis=0))
    of_both = ops.reshape(features, (2, -1, int(features.shape[-1])))
    return keras.Model(pixels, ops.mean(of_both, axis=0), name="backbone")


def without_mirror(backbone: keras.Model) -> keras.Model | None:
    """The extractor that `add_mirror` was given; None for a backbone that averages over no mirror image."""
    return next((layer for layer in backbone.layers if layer.name == SINGLE), None)
