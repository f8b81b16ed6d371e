"""Builds GoogLeNet and the auxiliary classifiers that it is trained with.

Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015; arXiv 1409.4842): table 1, figures 2b and 3, section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.classics import Kernel, convolution, local_response

if TYPE_CHECKING:
    import keras

# Weight of the loss of an auxiliary classifier; the loss of the network itself has weight 1 (section 5).
AUXILIARY_WEIGHT = 0.3
# Table 1: maps of the 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5, and of the projection after the pool.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOLED_AFTER = ("3b", "4e")
_AUXILIARY_AFTER = ("4a", "4d")


def googlenet(pixels: keras.KerasTensor, *, batch_norm: bool = False) -> keras.KerasTensor:
    """GoogLeNet, also Inception v1: 22 layers with weights, 6,998,552 parameters with its 1000 classes.

    Args:
        pixels: (batch, height, width, 3), scaled; sides of 32 pixels or more, 224 in the paper.
        batch_norm: normalise before each ReLU, and leave out the local response normalisation.

    Returns:
        A feature map (batch, height / 32, width / 32, 1024).
    """
    from keras import layers

    x = convolution(pixels, 64, Kernel(7, stride=2), name="conv1_7x7", batch_norm=batch_norm)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = x if batch_norm else local_response(x, name="pool1_response_norm")
    x = convolution(x, 64, Kernel(1), name="conv2_reduce", batch_norm=batch_norm)
    x = convolution(x, 192, Kernel(3), name="conv2_3x3", batch_norm=batch_norm)
    x = x if batch_norm else local_response(x, name="conv2_response_norm")
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)
    for name, maps in _MODULES.items():
        x = _module(x, maps, name=f"inception_{name}", batch_norm=batch_norm)
        if name in _POOLED_AFTER:
            x = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{name[0]}")(x)
    return x


def add_auxiliary_classifiers(classifier: keras.Model) -> tuple[keras.Model, tuple[float, ...]]:
    """Add the auxiliary classifiers for training; the classifier itself stays without them.

    Args:
        classifier: as `models.classifier.build_classifier` returns it, on a GoogLeNet.

    Returns:
        A model that shares the classifier's layers and gives its probabilities and those of two auxiliary classifiers
        (layers `auxiliary_4a` and `auxiliary_4d`), each (batch, classes); and the weight of the loss of every output.
    """
    import keras
    from keras import layers

    backbone, classes = classifier.get_layer("backbone"), classifier.output_shape[-1]
    taps = [backbone.get_layer(f"inception_{name}_concat").output for name in _AUXILIARY_AFTER]
    pixels = keras.Input(classifier.input_shape[1:], name="pixels")
    features, *tapped = keras.Model(backbone.inputs[0], [backbone.outputs[0], *taps], name="tapped")(pixels)
    outputs = [classifier.get_layer("head")(classifier.get_layer("pooling")(features))]
    for name, x in zip(_AUXILIARY_AFTER, tapped, strict=True):
        x = layers.AveragePooling2D(min(5, *x.shape[1:3]), 3)(x)
        x = convolution(x, 128, Kernel(1), name=f"auxiliary_{name}_conv", batch_norm=False)
        x = layers.Dense(1024, activation="relu", name=f"auxiliary_{name}_dense")(layers.Flatten()(x))
        x = layers.Dropout(0.7)(x)
        outputs.append(layers.Dense(classes, activation="softmax", dtype="float32", name=f"auxiliary_{name}")(x))
    weights = (1.0, *(AUXILIARY_WEIGHT for _ in tapped))
    return keras.Model(pixels, outputs, name="with_auxiliaries"), weights


def _module(
    x: keras.KerasTensor, maps: tuple[int, int, int, int, int, int], *, name: str, batch_norm: bool
) -> keras.KerasTensor:
    """An inception module (figure 2b): three sizes of kernels and a pool side by side."""
    from keras import layers

    def conv(source: keras.KerasTensor, filters: int, size: int, part: str) -> keras.KerasTensor:
        return convolution(source, filters, Kernel(size), name=f"{name}_{part}", batch_norm=batch_norm)

    narrow, reduce3, wide3, reduce5, wide5, projected = maps
    branches = [
        conv(x, narrow, 1, "1x1"),
        conv(conv(x, reduce3, 1, "3x3_reduce"), wide3, 3, "3x3"),
        conv(conv(x, reduce5, 1, "5x5_reduce"), wide5, 5, "5x5"),
        conv(layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x), projected, 1, "pool_projection"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)
