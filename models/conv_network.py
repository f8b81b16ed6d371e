"""Describes and builds a small convolutional network whose filters a user lists, such as `conv:10,20`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from models.errors import UserError

if TYPE_CHECKING:
    import keras

PREFIX = "conv:"
Activation: TypeAlias = Literal["relu", "leaky_relu", "elu", "tanh", "sigmoid", "linear"]
Channels: TypeAlias = Literal[1, 3]
# He et al. (2015) derive their initialisation for these; that of Glorot and Bengio (2010) is for the others.
_RECTIFIERS: tuple[Activation, ...] = ("relu", "leaky_relu", "elu")
_LARGEST, _MOST_LAYERS = 65_536, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNetwork:
    """The layers of a small network: convolution, activation and 2 x 2 maximum for each number of filters.

    Attributes:
        filters: of the convolutions, from the input upwards.
        kernel: side of their kernels in pixels; nothing is padded.
        activation: after every convolution and every fully connected layer.
        dense: units of the fully connected layers above them; may be empty.
        channels: of the input: 1 for grey, 3 for colours.
    """

    filters: tuple[int, ...]
    kernel: int = 5
    activation: Activation = "relu"
    dense: tuple[int, ...] = ()
    channels: Channels = 1

    @property
    def smallest_side(self) -> int:
        """The smallest side of a picture, in pixels, of which the last layer keeps one value."""
        side = 1
        for _ in self.filters:
            side = 2 * side + self.kernel - 1
        return side

    def num_parameters(self, side: int) -> int:
        """How many weights the network has on pictures of `side` pixels, without a head."""
        count = 0
        for depth, filters in pairwise((self.channels, *self.filters)):
            count += (self.kernel**2 * depth + 1) * filters
            side = (side - self.kernel + 1) // 2
        flat = side**2 * self.filters[-1]
        return count + sum((below + 1) * units for below, units in pairwise((flat, *self.dense)))


def read_counts(text: str, option: str) -> tuple[int, ...]:
    """Read numbers of filters or units, such as `10,20`.

    Args:
        text: as the user typed it.
        option: where, for the error.

    Raises:
        UserError: a number is missing, not whole, or outside of 1 to 65,536; or there are more than 64.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > _MOST_LAYERS:
        raise UserError(f"{option} `{text}` has {len(parts)} layers", f"give at most {_MOST_LAYERS}")
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= _LARGEST for part in parts):
        raise UserError(
            f"{option} `{text}` is not a list of numbers from 1 to {_LARGEST}", "separate them by commas: `10,20`"
        )
    return tuple(int(part) for part in parts)


def build_conv_network(pixels: keras.KerasTensor, network: ConvNetwork) -> keras.KerasTensor:
    """Build the layers of a small network.

    Args:
        pixels: (batch, height, width, channels), scaled.
        network: its layers.

    Returns:
        Features (batch, n): the flattened maps, or the units of the last fully connected layer.
    """
    from keras import layers

    initializer = "he_normal" if network.activation in _RECTIFIERS else "glorot_uniform"
    x = pixels
    for number, filters in enumerate(network.filters, 1):
        block = f"block{number}"
        x = layers.Conv2D(filters, network.kernel, kernel_initializer=initializer, name=f"{block}_conv")(x)
        x = layers.Activation(network.activation, name=f"{block}_{network.activation}")(x)
        x = layers.MaxPooling2D(name=f"{block}_pool")(x)
    x = layers.Flatten(name=f"block{len(network.filters)}_flatten")(x)
    for number, units in enumerate(network.dense, len(network.filters) + 1):
        block = f"block{number}"
        x = layers.Dense(units, kernel_initializer=initializer, name=f"{block}_dense")(x)
        x = layers.Activation(network.activation, name=f"{block}_{network.activation}")(x)
    return x
