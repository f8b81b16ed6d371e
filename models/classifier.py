"""The one contract for single models and ensembles: pixels in [0, 255] -> probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.heads import Pooling

if TYPE_CHECKING:
    import keras


def build_classifier(backbone: keras.Model, head: keras.Model, *, pooling: Pooling = "avg") -> keras.Model:
    """Join a backbone and a head to a classifier.

    Args:
        backbone: pixels (batch, height, width, 3) in [0, 255] -> feature map (batch, h, w, channels), or a vector
            (batch, features); pixel scaling is inside. Becomes the layer `backbone`.
        head: features (batch, features) -> probabilities (batch, classes). Becomes the layer `head`.
        pooling: how a feature map becomes a vector (`flatten` keeps where things are; for small maps); a vector is
            left as it is.

    Returns:
        A model named `headstart`: pixels (batch, height, width, 3) float32 in [0, 255] -> probabilities
        (batch, classes) float32, with the layers `pixels`, `backbone`, `pooling` and `head`.
    """
    import keras

    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    features = pool_features(backbone(pixels), pooling)
    return keras.Model(pixels, head(features), name="headstart")


def build_feature_extractor(backbone: keras.Model, *, pooling: Pooling = "avg") -> keras.Model:
    """The classifier without its head: pixels (batch, height, width, 3) in [0, 255] -> features (batch, features)."""
    import keras

    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    return keras.Model(pixels, pool_features(backbone(pixels), pooling), name="features")


def build_top(classifier: keras.Model, upper: keras.Model | None = None) -> keras.Model:
    """What is above a boundary in a classifier, sharing its layers.

    Args:
        classifier: as `build` returns it.
        upper: the backbone's part above the boundary; None where the boundary is the backbone's output.

    Returns:
        A model named `top`: activations at the boundary (batch, ...) -> probabilities (batch, classes).
    """
    import keras

    shape = classifier.get_layer("backbone").output_shape if upper is None else upper.input_shape
    below = keras.Input(shape[1:], name="boundary")
    features = below if upper is None else upper(below)
    return keras.Model(below, classifier.get_layer("head")(classifier.get_layer("pooling")(features)), name="top")


def pool_features(features: keras.KerasTensor, pooling: Pooling) -> keras.KerasTensor:
    """Make (batch, features) of a feature map (batch, h, w, features) in a layer named `pooling`."""
    from keras import layers

    if len(features.shape) == 2:
        return layers.Identity(name="pooling")(features)
    table = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
    return table[pooling](name="pooling")(features)
