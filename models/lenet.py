"""Builds LeNet-4 and LeNet-5, to be trained from scratch.

They take scaled grey pixels and return features, without the layer that classifies. Blocks are named `block1_`,
`block2_`, ... from the input, as `models.blocks` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

# Which of the six maps of S2 each of the 16 maps of C3 is connected to (LeCun et al. 1998, Table I).
_C3_SOURCES = (
    *(tuple(sorted((first + step) % 6 for step in range(3))) for first in range(6)),
    *(tuple(sorted((first + step) % 6 for step in range(4))) for first in range(6)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
# Which of the eight maps of LeNet-4's S2 each of its 16 is connected to: every one feeds six, and no two see the same.
_LENET4_C3_SOURCES = tuple(
    tuple(sorted((first + place * step) % 8 for place in range(3))) for step in (2, 3) for first in range(8)
)


def lenet4(pixels: keras.KerasTensor, *, batch_norm: bool = False) -> keras.KerasTensor:
    """LeNet-4: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998).

    Proceedings of the IEEE 86(11), section III.C: 4 maps, 8 subsampled maps in pairs on each of them, 16 maps,
    16 subsampled maps, 120 units. The paper gives no table of connections; three of the 8 maps for each of the 16 make
    262,306 connections with its ten classes, and it says about 260,000. It also says about 17,000 free parameters,
    which this text does not yield: the 120 units alone have 48,120 on 16 maps of 5 x 5. Here it has 49,488.

    Args:
        pixels: (batch, height, width, 1), grey; sides of 16 pixels or more, 32 in the paper.
        batch_norm: whether to normalise before each tangent.

    Returns:
        The features of its fully connected layer (batch, 120).
    """
    from keras import layers, ops

    x = _squash(layers.Conv2D(4, 5, name="block1_c1")(pixels), "block1_c1", batch_norm=batch_norm)
    x = _subsample(ops.repeat(x, 2, axis=-1), "block1_s2", batch_norm=batch_norm)
    x = _squash(_partial_maps(x, _LENET4_C3_SOURCES, "block2_c3"), "block2_c3", batch_norm=batch_norm)
    x = _subsample(x, "block2_s4", batch_norm=batch_norm)
    x = layers.Flatten(name="block3_flatten")(x)
    return _squash(layers.Dense(120, name="block3_f5")(x), "block3_f5", batch_norm=batch_norm)


def lenet5(pixels: keras.KerasTensor, *, batch_norm: bool = False) -> keras.KerasTensor:
    """LeNet-5: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998).

    Proceedings of the IEEE 86(11), section II.B, figure 2 and table I: subsampling with a trainable coefficient and
    bias, partial connections from S2 to C3, the scaled hyperbolic tangent of appendix A. 60,000 parameters at
    32 x 32. The radial basis functions of its output are left to the head.

    Args:
        pixels: (batch, height, width, 1), grey; sides of 32 pixels or more, 32 in the paper.
        batch_norm: whether to normalise before each tangent.

    Returns:
        The features of F6 (batch, 84).
    """
    from keras import layers

    x = _squash(layers.Conv2D(6, 5, name="block1_c1")(pixels), "block1_c1", batch_norm=batch_norm)
    x = _subsample(x, "block1_s2", batch_norm=batch_norm)
    x = _squash(_partial_maps(x, _C3_SOURCES, "block2_c3"), "block2_c3", batch_norm=batch_norm)
    x = _subsample(x, "block2_s4", batch_norm=batch_norm)
    x = _squash(layers.Conv2D(120, 5, name="block3_c5")(x), "block3_c5", batch_norm=batch_norm)
    x = layers.Flatten(name="block4_flatten")(x)
    return _squash(layers.Dense(84, name="block4_f6")(x), "block4_f6", batch_norm=batch_norm)


def _squash(x: keras.KerasTensor, name: str, *, batch_norm: bool) -> keras.KerasTensor:
    """The scaled hyperbolic tangent of the LeNets (appendix A)."""
    from keras import layers, ops

    if batch_norm:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return 1.7159 * ops.tanh(x * (2 / 3))


def _subsample(x: keras.KerasTensor, name: str, *, batch_norm: bool) -> keras.KerasTensor:
    """Average 2 x 2 pixels of each map, times its trainable coefficient plus its bias, and squash."""
    from keras import layers

    x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    # A kernel of one pixel and one map: the trainable coefficient and bias of each map.
    return _squash(layers.DepthwiseConv2D(1, name=f"{name}_gain")(x), name, batch_norm=batch_norm)


def _partial_maps(x: keras.KerasTensor, sources: Sequence[tuple[int, ...]], name: str) -> keras.KerasTensor:
    """Maps of 5 x 5 kernels, each on some of the maps of `x`."""
    from keras import layers, ops

    maps = [
        layers.Conv2D(1, 5, name=f"{name}_{number:02d}")(ops.take(x, list(chosen), axis=-1))
        for number, chosen in enumerate(sources)
    ]
    return layers.Concatenate(name=name)(maps)
