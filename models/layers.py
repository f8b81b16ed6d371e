"""Lists the layers of a network with their windows, filters, shapes, parameters, memory and receptive fields."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.blocks import list_producers
from models.keras_private import Operation, functional_graph, producer
from models.receptive_field import INPUT, Attribute, Pair, Reach, after, joined, window_of

if TYPE_CHECKING:
    import keras

_FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """One row of a layer table; pairs are height and width.

    Attributes:
        name: of the layer.
        type: its class in Keras.
        support: of its window, in values of its input, without the holes of dilation; None without a window.
        dilation: of its window, 1 without holes; None without a window.
        stride: of its window; None without a window.
        pad: values added above, below, to the left and to the right, negative where some are cut off; None without a
            window.
        filter_depth: channels that each filter sees, or features that each unit sees; None without filters.
        filters: number of filters or units; None without filters.
        shape: of its output for one image: (height, width, channels) or (features,).
        weights: number of weights in its kernels, without biases and normalisation.
        parameters: number of all its weights.
        activation_bytes: memory of its output for one image, in float32.
        parameter_bytes: memory of its weights, in float32.
        receptive_field: height and width in pixels of the input that one of its outputs depends on, as if the image
            had no borders; None once that is the whole image (after a flattening or global pooling).
        offset: the centre of the upper left output's receptive field, in pixels from 1, as MatConvNet counts them;
            None once that is the whole image.
        jump: height and width in pixels of the input between neighbouring outputs.
    """

    name: str
    type: str
    support: Pair | None
    dilation: Pair | None
    stride: Pair | None
    pad: tuple[int, int, int, int] | None
    filter_depth: int | None
    filters: int | None
    shape: tuple[int | None, ...]
    weights: int
    parameters: int
    activation_bytes: int | None
    parameter_bytes: int
    receptive_field: Pair | None
    offset: tuple[float, float] | None
    jump: Pair


def list_layers(model: keras.Model) -> tuple[LayerFacts, ...]:
    """List the layers of a functional model from the input upwards, including those of nested models.

    Functions in the graph (additions, slices) have no row. Where they join branches, the receptive field is all that
    any of the branches depends on.
    """
    rows: list[LayerFacts] = []
    _walk(model, INPUT, rows)
    return tuple(rows)


def _walk(model: keras.Model, start: Reach, rows: list[LayerFacts]) -> Reach:
    """Add the rows of a model whose input has the reach `start`; return the reach of its output."""
    import keras

    functional = functional_graph(model)
    reach: dict[Operation, Reach] = {}
    for operation, sources in list_producers(functional).items():
        before = joined([reach[source] for source in sources]) if sources else start
        if isinstance(operation, keras.Model):
            reach[operation] = _walk(operation, before, rows)
            continue
        reach[operation] = after(operation, before)
        if isinstance(operation, keras.Layer):
            rows.append(_row(operation, reach[operation]))
    return reach[producer(functional.outputs[0])]


def _row(layer: keras.Layer, reach: Reach) -> LayerFacts:
    shape = tuple(next(_shapes(layer.output))[1:])
    window = window_of(layer)
    slides = window is not None and hasattr(layer, "strides")
    depth, filters = _filters(layer)
    return LayerFacts(
        name=layer.name,
        type=type(layer).__name__,
        support=window.support if window and slides else None,
        dilation=window.dilation if window and slides else None,
        stride=window.stride if window and slides else None,
        pad=(window.pad_before[0], window.pad_after[0], window.pad_before[1], window.pad_after[1]) if window else None,
        filter_depth=depth,
        filters=filters,
        shape=shape,
        weights=sum(math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1),
        parameters=layer.count_params(),
        activation_bytes=_size(shape),
        parameter_bytes=layer.count_params() * _FLOAT32_BYTES,
        receptive_field=reach.field,
        offset=reach.offset,
        jump=reach.jump,
    )


def _filters(layer: keras.Layer) -> tuple[int, int] | tuple[None, None]:
    """How many channels each filter (or unit) of a layer sees, and how many filters there are."""
    import keras

    kernel: Attribute = getattr(layer, "kernel", None)
    if isinstance(layer, keras.layers.SeparableConv2D):  # a depthwise and a pointwise kernel, as one of both
        channels: Attribute = layer.input.shape[-1]
        return int(channels), int(layer.filters)
    if kernel is None or len(kernel.shape) not in (2, 4):
        return None, None
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return 1, int(kernel.shape[2] * kernel.shape[3])
    return int(kernel.shape[-2]), int(kernel.shape[-1])


def _size(shape: tuple[int | None, ...]) -> int | None:
    known = [side for side in shape if side is not None]
    return math.prod(known) * _FLOAT32_BYTES if len(known) == len(shape) else None


def _shapes(output: Attribute) -> Iterator[tuple[int | None, ...]]:
    for tensor in output if isinstance(output, list | tuple) else [output]:
        yield tensor.shape
