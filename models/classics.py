"""Builds AlexNet, ZFNet and a small CNN, to be trained from scratch.

They take scaled pixels and return features, without the layer that classifies. Weights are initialised after
He et al. (2015): the Gaussians of deviation 0.01 of 2012 leave their first plateau only after ImageNet's many steps.
Blocks are named `block1_`, `block2_`, ... from the input, as `models.blocks` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

_DROPOUT = 0.5


def small_cnn(pixels: keras.KerasTensor, *, batch_norm: bool = True) -> keras.KerasTensor:
    """Three blocks of convolution, batch normalisation and ReLU, for small pictures and few of them.

    Args:
        pixels: (batch, height, width, 3), scaled; sides of 8 pixels or more.
        batch_norm: whether to normalise before each ReLU.

    Returns:
        A feature map (batch, height // 8, width // 8, 128).
    """
    from keras import layers

    x = pixels
    for number, filters in enumerate((32, 64, 128), 1):
        x = convolution(x, filters, Kernel(3), name=f"block{number}_conv", batch_norm=batch_norm)
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
    return x


def alexnet(pixels: keras.KerasTensor, *, batch_norm: bool = False) -> keras.KerasTensor:
    """AlexNet: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep CNNs" (NIPS 2012).

    Sections 3.3 to 3.5 and figure 2: the kernels of the second, fourth and fifth layer see half of the maps, those on
    their own GPU; local response normalisation after the first two; overlapping pools; dropout on both fully
    connected layers. 60,965,224 parameters with its 1000 classes.

    Args:
        pixels: (batch, height, width, 3), scaled; sides of 67 pixels or more, 227 in effect in the paper.
        batch_norm: normalise before each ReLU, and leave out the local response normalisation.

    Returns:
        The features of its second fully connected layer (batch, 4096).
    """
    from keras import layers

    x = convolution(pixels, 96, Kernel(11, stride=4, padding="valid"), name="block1_conv", batch_norm=batch_norm)
    x = x if batch_norm else local_response(x, name="block1_response_norm")
    x = layers.MaxPooling2D(3, 2, name="block1_pool")(x)
    x = _halves(x, 256, 5, name="block2_conv", batch_norm=batch_norm)
    x = x if batch_norm else local_response(x, name="block2_response_norm")
    x = layers.MaxPooling2D(3, 2, name="block2_pool")(x)
    x = convolution(x, 384, Kernel(3), name="block3_conv", batch_norm=batch_norm)
    x = _halves(x, 384, 3, name="block4_conv", batch_norm=batch_norm)
    x = _halves(x, 256, 3, name="block5_conv", batch_norm=batch_norm)
    x = layers.MaxPooling2D(3, 2, name="block5_pool")(x)
    return _fully_connected(x, batch_norm=batch_norm)


def zfnet(pixels: keras.KerasTensor, *, batch_norm: bool = False) -> keras.KerasTensor:
    """ZFNet: Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014; arXiv 1311.2901).

    Figure 3: AlexNet with a first layer of 7 x 7 kernels and stride 2, a second of stride 2, and all maps connected.
    62,357,608 parameters with its 1000 classes.

    Args:
        pixels: (batch, height, width, 3), scaled; sides of 53 pixels or more, 224 in the paper.
        batch_norm: normalise before each ReLU, and leave out the contrast normalisation.

    Returns:
        The features of its second fully connected layer (batch, 4096).
    """
    from keras import layers

    x = layers.ZeroPadding2D(1, name="block1_pad")(pixels)
    x = convolution(x, 96, Kernel(7, stride=2, padding="valid"), name="block1_conv", batch_norm=batch_norm)
    x = layers.MaxPooling2D(3, 2, padding="same", name="block1_pool")(x)
    x = x if batch_norm else local_response(x, name="block1_response_norm")
    x = convolution(x, 256, Kernel(5, stride=2, padding="valid"), name="block2_conv", batch_norm=batch_norm)
    x = layers.MaxPooling2D(3, 2, padding="same", name="block2_pool")(x)
    x = x if batch_norm else local_response(x, name="block2_response_norm")
    for number, filters in ((3, 384), (4, 384), (5, 256)):
        x = convolution(x, filters, Kernel(3), name=f"block{number}_conv", batch_norm=batch_norm)
    x = layers.MaxPooling2D(3, 2, name="block5_pool")(x)
    return _fully_connected(x, batch_norm=batch_norm)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The square kernel of a convolution.

    Attributes:
        side: in pixels.
        stride: in pixels.
        padding: `same` or `valid`.
    """

    side: int
    stride: int = 1
    padding: Literal["same", "valid"] = "same"


def convolution(
    x: keras.KerasTensor, filters: int, kernel: Kernel, *, name: str, batch_norm: bool
) -> keras.KerasTensor:
    """Apply a convolution, batch normalisation if wanted, and a ReLU.

    Args:
        x: (batch, height, width, channels).
        filters: number of channels of the result.
        kernel: its size, stride and padding.
        name: of the convolution, and prefix of the names of the other layers.
        batch_norm: whether to normalise; the convolution then has no bias.
    """
    return _rectified(_conv2d(filters, kernel, name=name, use_bias=not batch_norm)(x), name, batch_norm=batch_norm)


def _conv2d(filters: int, kernel: Kernel, *, name: str, use_bias: bool) -> keras.layers.Conv2D:
    from keras import layers

    return layers.Conv2D(
        filters,
        kernel.side,
        kernel.stride,
        kernel.padding,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )


def local_response(
    x: keras.KerasTensor, *, name: str, depth: int = 5, k: float = 2.0, alpha: float = 1e-4
) -> keras.KerasTensor:
    """Local response normalisation across maps (AlexNet, section 3.3), exponent 0.75.

    Each activation is divided by (k + alpha * the sum of squares over the `depth` maps around its own) ** 0.75.
    From padding, slices and one layer, so that it loads as plain Keras.

    Args:
        x: (batch, height, width, maps).
        name: of that layer, which gives the normalised maps and so stands for the whole in a table of layers.
        depth: how many maps, odd.
        k: the constant.
        alpha: the factor.
    """
    from keras import layers, ops

    maps, side = x.shape[-1], depth // 2
    squares = ops.pad(ops.square(x), [[0, 0], [0, 0], [0, 0], [side, side]])
    total = squares[..., :maps]
    for start in range(1, depth):
        total = total + squares[..., start : start + maps]
    return layers.Multiply(name=name)([x, ops.power(k + alpha * total, -0.75)])


def _halves(x: keras.KerasTensor, filters: int, size: int, *, name: str, batch_norm: bool) -> keras.KerasTensor:
    """Apply a convolution in two groups, each on half of the channels, as two convolutions, which every runtime has."""
    from keras import layers

    half = x.shape[-1] // 2
    parts = [
        _conv2d(filters // 2, Kernel(size), name=f"{name}_{letter}", use_bias=True)(part)
        for letter, part in (("a", x[..., :half]), ("b", x[..., half:]))
    ]
    return _rectified(layers.Concatenate(name=name)(parts), name, batch_norm=batch_norm)


def _rectified(x: keras.KerasTensor, name: str, *, batch_norm: bool) -> keras.KerasTensor:
    from keras import layers

    if batch_norm:
        # Small data means few steps: statistics that remember hundreds of them would lag behind the weights.
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _fully_connected(x: keras.KerasTensor, *, batch_norm: bool) -> keras.KerasTensor:
    """Two layers of 4096 with ReLU and dropout."""
    from keras import layers

    x = layers.Flatten(name="block6_flatten")(x)
    for number in (6, 7):
        name = f"block{number}_dense"
        x = layers.Dense(4096, use_bias=not batch_norm, kernel_initializer="he_normal", name=name)(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, name=f"block{number}_norm")(x)
        x = layers.ReLU(name=f"block{number}_relu")(x)
        x = layers.Dropout(_DROPOUT, name=f"block{number}_dropout")(x)
    return x
