"""Folds batch normalisation, scalings and biases into the kernels of the convolutions before them.

It works on the operations of a frozen graph rather than on Keras layers, so that any network folds, a user's own too,
and a layer that is used twice folds in each place by itself. An operation that follows a convolution (or depthwise
convolution, or matrix product) and is affine per channel becomes part of its kernel and one bias; an affine operation
elsewhere, such as batch normalisation before an activation, becomes one operation instead of two. TensorFlow fuses what
remains, kernel, bias and activation, into one call of oneDNN.

Folding is exact except for rounding; it is computed in float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from models.arrays import Doubles
from models.engines.rewriting import FLOAT, Constant, GraphDef, Node, Rewriting, is_plain, operation

# Scale and offset, (channels,) each or one number for all.
Affine: TypeAlias = tuple[Doubles | float, Doubles | float]
_CONTRACTIONS = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
_NORMALIZATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
# The scaling of pixels, which have three or four channels, stays as it is.
_FEWEST_CHANNELS = 5


def fold(graph_def: GraphDef, keep: Iterable[str]) -> GraphDef:
    """Fold a frozen float32 graph.

    Args:
        graph_def: a `GraphDef` without variables and function calls, its constants folded.
        keep: names of operations whose value must stay what it is (inputs and outputs).

    Returns:
        A new `GraphDef` that computes the same; it still holds the operations that nothing needs any more.
    """
    graph = Rewriting(graph_def, frozenset(keep))
    for node in list(graph.nodes.values()):
        if node.op == "Conv2D":
            _make_depthwise(graph, node)
        if node.op in _CONTRACTIONS:
            _fold_into_kernel(graph, node)
    for node in list(graph.nodes.values()):
        if node.op in ("Add", "AddV2", "Sub"):
            _join_affine(graph, node)
    return graph.graph_def


def _make_depthwise(graph: Rewriting, node: Node) -> None:
    """Make a depthwise convolution, which is faster, of a convolution in as many groups as channels."""
    kernel, shape = graph.constant(node.input[1]), graph.shape(node.input[0])
    if kernel is None or kernel.shape[2] != 1 or len(shape) != 4 or not is_plain(node):
        return
    channels, strides = shape[3], node.attr["strides"].list.i
    if channels is None or channels == 1 or strides[1] != strides[2]:
        return
    depthwise = kernel.reshape(*kernel.shape[:2], channels, -1)
    node.op = "DepthwiseConv2dNative"
    node.attr.pop("use_cudnn_on_gpu", None)
    node.input[1] = graph.add_constant(f"{node.name}/depthwise_kernel", depthwise)


def _fold_into_kernel(graph: Rewriting, node: Node) -> None:
    """Fold the affine operations behind a convolution or matrix product into its kernel and one bias."""
    kernel = graph.constant(node.input[1])
    if kernel is None or not is_plain(node) or (node.op == "MatMul" and node.attr["transpose_a"].b):
        return
    channels = _channels(node, kernel)
    scale, offset = np.ones(channels), np.zeros(channels)
    last = current = node
    while (following := graph.only_consumer(current)) is not None:
        affine = _affine(graph, following, current.name, channels, 2 if node.op == "MatMul" else 4)
        if affine is None:
            break
        scale, offset = scale * affine[0], offset * affine[0] + affine[1]
        current = following
        if following.op != "Identity":
            last = following
    if last is node or not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        return
    scaled = kernel * _along_kernel(node, kernel, scale)
    node.input[1] = graph.add_constant(f"{last.name}/folded_kernel", scaled.astype(np.float32))
    bias = graph.add_constant(f"{last.name}/folded_bias", offset.astype(np.float32))
    # TensorFlow fuses BiasAdd with the convolution, and has no such kernel for groups on processors without AVX512.
    is_grouped = node.op == "Conv2D" and kernel.shape[2] != graph.shape(node.input[0])[-1]
    graph.rewrite(last, "AddV2" if is_grouped else "BiasAdd", [node.name, bias])


def _channels(node: Node, kernel: Constant) -> int:
    """How many output channels a kernel has."""
    if node.op == "DepthwiseConv2dNative":
        return int(kernel.shape[2] * kernel.shape[3])
    return int(kernel.shape[0 if node.op == "MatMul" and node.attr["transpose_b"].b else -1])


def _along_kernel(node: Node, kernel: Constant, scale: Doubles) -> Doubles:
    """Shape factors (output channels,) so that they multiply the kernel."""
    if node.op == "DepthwiseConv2dNative":
        return scale.reshape(kernel.shape[2:])
    return scale[:, None] if node.op == "MatMul" and node.attr["transpose_b"].b else scale


def _affine(graph: Rewriting, node: Node, argument: str, channels: int, rank: int) -> Affine | None:
    """The scale and offset per channel (last axis) that `node` applies to its input `argument`.

    Returns:
        None where `node` is not affine per channel.
    """
    if node.op == "Identity":
        return 1.0, 0.0
    if not is_plain(node) or any(name.startswith("^") for name in node.input):
        return None
    if node.op in _NORMALIZATIONS:
        return _normalization(graph, node) if node.input[0] == argument else None
    if node.op not in ("Add", "AddV2", "BiasAdd", "Mul", "RealDiv", "Sub") or len(node.input) != 2:
        return None
    is_first = node.input[0] == argument
    vector = _vector(graph.constant(node.input[1 if is_first else 0]), channels, rank)
    if vector is None:
        return None
    if node.op == "Mul":
        return vector, 0.0
    if node.op == "RealDiv":
        return (1.0 / vector, 0.0) if is_first and (vector != 0).all() else None
    if node.op == "Sub":
        return (1.0, -vector) if is_first else (-1.0, vector)
    return 1.0, vector


def _vector(value: Constant | None, channels: int, rank: int) -> Doubles | None:
    """A constant as one number per channel, (channels,); None unless it is broadcast over all other axes."""
    if value is None or value.ndim > rank:
        return None
    if value.size == 1:
        return np.full(channels, value.reshape(()), np.float64)
    return value.reshape(channels).astype(np.float64) if value.size == value.shape[-1] == channels else None


def _normalization(graph: Rewriting, node: Node) -> Affine | None:
    """The scale and offset of a batch normalisation with constant statistics."""
    if node.attr["is_training"].b:
        return None
    values = [graph.constant(name) for name in node.input[1:5]]
    if any(value is None for value in values):
        return None
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return scale, beta - mean * scale


def _join_affine(graph: Rewriting, node: Node) -> None:
    """Make one operation, which fuses with an activation after it, of a multiplication and an addition per channel."""
    for name in node.input:
        product = graph.nodes[operation(name)]
        if product.op != "Mul" or graph.only_consumer(product) is not node or len(graph.shape(product.name)) != 4:
            continue
        for number, factor in enumerate(product.input):
            value = graph.constant(factor)
            if value is None or value.ndim == 0 or value.shape[-1] < _FEWEST_CHANNELS:
                continue
            argument, channels = product.input[1 - number], value.shape[-1]
            first = _affine(graph, product, argument, channels, 4)
            second = _affine(graph, node, product.name, channels, 4)
            if first is None or second is None or len(graph.shape(argument)) != 4:
                continue
            scale, offset = first[0] * second[0], first[1] * second[0] + second[1]
            _normalize(graph, node, argument, scale * np.ones(channels), offset * np.ones(channels))
            return


def _normalize(graph: Rewriting, node: Node, argument: str, scale: Doubles, offset: Doubles) -> None:
    """Make `node` the batch normalisation of `argument` that applies a scale and an offset (channels,)."""
    constants = {"scale": scale, "offset": offset, "mean": np.zeros_like(scale), "variance": np.ones_like(scale)}
    inputs = [graph.add_constant(f"{node.name}/{name}", value.astype(np.float32)) for name, value in constants.items()]
    graph.rewrite(node, "FusedBatchNormV3", [argument, *inputs])
    node.attr["U"].type = FLOAT
    node.attr["epsilon"].f = 0.0
    node.attr["is_training"].b = False
