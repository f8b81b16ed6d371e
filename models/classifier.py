"""Joins backbone, pooling and head to a classifier from pixels in [0, 255] to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.heads import Pooling
from models.mirror import add_mirror

if TYPE_CHECKING:
    import keras


def build_classifier(
    backbone: keras.Model, head: keras.Model, *, pooling: Pooling = "avg", mirror: bool = False
) -> keras.Model:
    """Join a backbone and a head to a classifier.

    Args:
        backbone: pixels (batch, height, width, 3) in [0, 255] -> feature map (batch, h, w, channels), or a vector
            (batch, features); pixel scaling is inside. Becomes the layer `backbone`.
        head: features (batch, features) -> probabilities (batch, classes). Becomes the layer `head`.
        pooling: how a feature map becomes a vector (`flatten` keeps positions, for small maps); a vector stays as
            it is, such as that of the fully connected layers `fc6` and `fc7`.
        mirror: whether features are averaged over the image and its mirror image: two passes, in one graph. The layer
            `backbone` then gives the averaged features.

    Returns:
        A model named `headstart`: pixels (batch, height, width, 3) float32 in [0, 255] -> probabilities
        (batch, classes) float32, with the layers `pixels`, `backbone`, `pooling` and `head`.
    """
    import keras

    extractor = build_feature_extractor(backbone, pooling=pooling, mirror=mirror)
    return keras.Model(extractor.inputs[0], head(extractor.outputs[0]), name="headstart")


def build_feature_extractor(backbone: keras.Model, *, pooling: Pooling = "avg", mirror: bool = False) -> keras.Model:
    """Join a backbone and its pooling to a model: pixels (batch, height, width, 3) in [0, 255] -> (batch, features).

    Args:
        backbone: as for `build_classifier`.
        pooling: likewise.
        mirror: likewise.
    """
    import keras

    if mirror:
        backbone = add_mirror(build_feature_extractor(backbone, pooling=pooling))
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    return keras.Model(pixels, pool_features(backbone(pixels), pooling), name="features")


def build_top(classifier: keras.Model, upper: keras.Model | None = None) -> keras.Model:
    """Join the layers of a classifier above a boundary to a model.

    Args:
        classifier: as `build` returns it.
        upper: the backbone's part above the boundary; None where the boundary is the backbone's output.

    Returns:
        A model named `top`: activations at the boundary (batch, ...) -> probabilities (batch, classes).
    """
    import keras

    shape = classifier.get_layer("backbone").output_shape if upper is None else upper.input_shape
    activations = keras.Input(shape[1:], name="boundary")
    features = activations if upper is None else upper(activations)
    return keras.Model(activations, classifier.get_layer("head")(classifier.get_layer("pooling")(features)), name="top")


def pool_features(features: keras.KerasTensor, pooling: Pooling) -> keras.KerasTensor:
    """Pool a feature map (batch, h, w, channels) to features (batch, n) with a layer named `pooling`."""
    from keras import layers

    if len(features.shape) == 2:
        return layers.Identity(name="pooling")(features)
    assert pooling not in ("fc6", "fc7"), "a backbone that is cut there gives a vector"
    table = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
    return table[pooling](name="pooling")(features)
