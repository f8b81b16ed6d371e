"""Lists the layers of a network with their shapes, parameters, memory and receptive fields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from models.blocks import list_producers
from models.keras_private import Operation, functional_graph, producer

if TYPE_CHECKING:
    import keras

Pair: TypeAlias = tuple[int, int]
Attribute: TypeAlias = Any  # Keras ships no types for what its layers are configured with.
_FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """One row of a layer table.

    Attributes:
        name: of the layer.
        type: its class in Keras.
        shape: of its output for one image: (height, width, channels) or (features,).
        weights: number of weights in its kernels, without biases and normalisation.
        parameters: number of all its weights.
        activation_bytes: memory of its output for one image, in float32.
        receptive_field: height and width in pixels of the input that one of its outputs depends on, as if the image
            had no borders; None once that is the whole image (after a flattening or global pooling).
        jump: height and width in pixels of the input between neighbouring outputs.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]
    weights: int
    parameters: int
    activation_bytes: int | None
    receptive_field: Pair | None
    jump: Pair


@dataclass(frozen=True, slots=True)
class _Reach:
    """The receptive field and jump of one tensor of a network."""

    field: Pair | None
    jump: Pair


def list_layers(model: keras.Model) -> tuple[LayerFacts, ...]:
    """List the layers of a functional model from the input upwards, including those of nested models.

    Functions in the graph (additions, slices) have no row. Where they join branches, the receptive field is that of
    the branch with the widest.
    """
    rows: list[LayerFacts] = []
    _walk(model, _Reach((1, 1), (1, 1)), rows)
    return tuple(rows)


def _walk(model: keras.Model, start: _Reach, rows: list[LayerFacts]) -> _Reach:
    """Add the rows of a model whose input has the reach `start`; return the reach of its output."""
    import keras

    functional = functional_graph(model)
    reach: dict[Operation, _Reach] = {}
    for operation, sources in list_producers(functional).items():
        before = _joined([reach[source] for source in sources]) if sources else start
        if isinstance(operation, keras.Model):
            reach[operation] = _walk(operation, before, rows)
            continue
        reach[operation] = _after(operation, before)
        if isinstance(operation, keras.Layer):
            rows.append(_row(operation, reach[operation]))
    return reach[producer(functional.outputs[0])]


def _joined(reaches: Sequence[_Reach]) -> _Reach:
    fields = [reach.field for reach in reaches]
    # A gate computed from the whole image (squeeze and excitation) multiplies a map that keeps its own grid.
    jumps = [reach.jump for reach in reaches if reach.field is not None] or [reaches[0].jump]
    jump = _maximum(jumps)
    if any(field is None for field in fields):
        return _Reach(None, jump)
    known = [field for field in fields if field is not None]
    return _Reach(_maximum(known), jump)


def _maximum(pairs: Sequence[Pair]) -> Pair:
    heights, widths = zip(*pairs, strict=True)
    return max(heights), max(widths)


def _after(layer: Operation, before: _Reach) -> _Reach:
    import keras

    whole_image = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    if isinstance(layer, whole_image) or before.field is None:
        return _Reach(None, before.jump)
    size, stride = _window(layer)
    field = tuple(
        side + (extent - 1) * jump for side, extent, jump in zip(before.field, size, before.jump, strict=True)
    )
    jump = tuple(jump * step for jump, step in zip(before.jump, stride, strict=True))
    return _Reach((field[0], field[1]), (jump[0], jump[1]))


def _window(layer: Operation) -> tuple[Pair, Pair]:
    """Size (with the holes of dilation) and stride of the window that a layer slides over its input."""
    size: Attribute = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if size is None or len(size) != 2:
        return (1, 1), (1, 1)
    dilation: Attribute = getattr(layer, "dilation_rate", (1, 1))
    height, width = ((extent - 1) * hole + 1 for extent, hole in zip(size, dilation, strict=True))
    stride: Attribute = layer.strides
    pair = (stride, stride) if isinstance(stride, int) else (stride[0], stride[1])
    return (height, width), pair


def _row(layer: keras.Layer, reach: _Reach) -> LayerFacts:
    shape = tuple(next(_shapes(layer.output))[1:])
    return LayerFacts(
        name=layer.name,
        type=type(layer).__name__,
        shape=shape,
        weights=sum(math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1),
        parameters=layer.count_params(),
        activation_bytes=_size(shape),
        receptive_field=reach.field,
        jump=reach.jump,
    )


def _size(shape: tuple[int | None, ...]) -> int | None:
    known = [side for side in shape if side is not None]
    return math.prod(known) * _FLOAT32_BYTES if len(known) == len(shape) else None


def _shapes(output: Attribute) -> Iterator[tuple[int | None, ...]]:
    for tensor in output if isinstance(output, list | tuple) else [output]:
        yield tensor.shape
