"""Follows windows through a network: which pixels of the input each output depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from models.keras_private import Operation

Pair: TypeAlias = tuple[int, int]
Attribute: TypeAlias = Any  # Keras ships no types for what its layers are configured with.


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a layer slides over its input, or adds around it; pairs are height and width.

    Attributes:
        support: of the kernel or pool, in values of the input, without the holes of dilation.
        dilation: 1 for a window without holes.
        stride: values of the input from one output to the next.
        pad_before: values that are added above and to the left; negative where some are cut off.
        pad_after: the same, below and to the right.
    """

    support: Pair = (1, 1)
    dilation: Pair = (1, 1)
    stride: Pair = (1, 1)
    pad_before: Pair = (0, 0)
    pad_after: Pair = (0, 0)

    @property
    def extent(self) -> Pair:
        """Its support with the holes of dilation."""
        height, width = ((side - 1) * hole + 1 for side, hole in zip(self.support, self.dilation, strict=True))
        return height, width


@dataclass(frozen=True, slots=True)
class Reach:
    """What the outputs of one layer depend on; pairs are height and width.

    Attributes:
        first: first pixel of the input, from 0, that the upper left output depends on, as if the image had no
            borders; None where that is the whole image.
        last: the last such pixel.
        jump: pixels of the input between neighbouring outputs.
    """

    first: Pair | None
    last: Pair | None
    jump: Pair

    @property
    def field(self) -> Pair | None:
        """Height and width of the receptive field."""
        if self.first is None or self.last is None:
            return None
        return self.last[0] - self.first[0] + 1, self.last[1] - self.first[1] + 1

    @property
    def offset(self) -> tuple[float, float] | None:
        """The centre of the upper left output's receptive field, in pixels from 1, as MatConvNet counts them."""
        if self.first is None or self.last is None:
            return None
        vertical, horizontal = ((first + last) / 2 + 1 for first, last in zip(self.first, self.last, strict=True))
        return vertical, horizontal


INPUT = Reach((0, 0), (0, 0), (1, 1))


def joined(reaches: Sequence[Reach]) -> Reach:
    """The reach of what joins several branches: all that any of them depends on."""
    # A gate computed from the whole image (squeeze and excitation) multiplies a map that keeps its own grid.
    jumps = [reach.jump for reach in reaches if reach.first is not None] or [reaches[0].jump]
    jump = (max(height for height, _ in jumps), max(width for _, width in jumps))
    firsts = [reach.first for reach in reaches if reach.first is not None]
    lasts = [reach.last for reach in reaches if reach.last is not None]
    if len(firsts) < len(reaches):
        return Reach(None, None, jump)
    first = (min(top for top, _ in firsts), min(left for _, left in firsts))
    last = (max(bottom for bottom, _ in lasts), max(right for _, right in lasts))
    return Reach(first, last, jump)


def after(layer: Operation, before: Reach) -> Reach:
    """The reach of a layer's output, given that of its input."""
    import keras

    whole_image = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    if isinstance(layer, whole_image) or before.first is None or before.last is None:
        return Reach(None, None, before.jump)
    window = window_of(layer)
    if window is None:
        return before
    sides = zip(before.first, before.last, before.jump, window.extent, window.stride, window.pad_before, strict=True)
    top, left = (
        (first - pad * jump, last + (extent - 1 - pad) * jump, jump * stride)
        for first, last, jump, extent, stride, pad in sides
    )
    return Reach((top[0], left[0]), (top[1], left[1]), (top[2], left[2]))


def window_of(layer: Operation) -> Window | None:
    """The window of a convolution, a pool, a padding or a cropping; None of any other layer."""
    import keras

    if isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.Cropping2D):
        sign = 1 if isinstance(layer, keras.layers.ZeroPadding2D) else -1
        amounts: Attribute = layer.padding if sign == 1 else layer.cropping
        (top, bottom), (left, right) = amounts
        return Window(pad_before=(sign * top, sign * left), pad_after=(sign * bottom, sign * right))
    size: Attribute = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if size is None or len(size) != 2:
        return None
    window = Window(
        support=_pair(size), dilation=_pair(getattr(layer, "dilation_rate", (1, 1))), stride=_pair(layer.strides)
    )
    if layer.padding != "same":
        return window
    shape: Attribute = layer.input.shape
    before, after_it = zip(
        *(_same(*side) for side in zip(shape[1:3], window.extent, window.stride, strict=True)), strict=True
    )
    return Window(
        support=window.support,
        dilation=window.dilation,
        stride=window.stride,
        pad_before=_pair(before),
        pad_after=_pair(after_it),
    )


def _same(side: int | None, extent: int, stride: int) -> Pair:
    """The padding `same` before and after an axis, as TensorFlow computes it.

    An unknown side is taken for a multiple of the stride.
    """
    remainder = (side or stride) % stride or stride
    total = max(extent - remainder, 0)
    return total // 2, total - total // 2


def _pair(value: Attribute) -> Pair:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
