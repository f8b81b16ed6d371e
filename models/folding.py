"""Fold what does not change into the weights: BatchNormalization, scalings and biases behind convolutions.

Works on the operations of a frozen graph rather than on Keras layers, so that any network folds, a user's own too, and
a layer that is used twice folds in each place by itself. What follows a convolution (or depthwise convolution, or
matrix product) and is affine a channel becomes part of its kernel and one bias; an affine that follows none of them,
such as BatchNormalization in front of an activation, becomes one operation instead of two. The shape that is left,
kernel, bias, activation, is what TensorFlow fuses into one call of oneDNN.

Folding is exact but for rounding; it is computed in float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Affine = tuple[Vector | float, Vector | float]

_CONTRACTIONS = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
_NORMALIZATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_FLOAT = 1  # DT_FLOAT
# The scaling of pixels, three or four channels, stays as it was written.
_FEWEST_CHANNELS = 5


def fold(graph_def: Any, keep: Iterable[str]) -> Any:
    """Fold a frozen float32 graph.

    Args:
        graph_def: a `GraphDef` without variables and function calls, its constants folded.
        keep: names of operations whose value must stay what it is (inputs and outputs).

    Returns:
        A new `GraphDef` that computes the same; operations nobody needs any more are still in it.
    """
    graph = _Graph(graph_def, frozenset(keep))
    for node in list(graph.nodes.values()):
        if node.op == "Conv2D":
            _make_depthwise(graph, node)
        if node.op in _CONTRACTIONS:
            _fold_into_kernel(graph, node)
    for node in list(graph.nodes.values()):
        if node.op in ("Add", "AddV2", "Sub"):
            _join_affine(graph, node)
    return graph.graph_def


class _Graph:
    """A GraphDef to rewrite: names, consumers, constants and ranks looked up."""

    def __init__(self, graph_def: Any, keep: frozenset[str]) -> None:
        import tensorflow as tf

        self.graph_def = tf.compat.v1.GraphDef()
        self.graph_def.CopyFrom(graph_def)
        self.keep = keep
        self.nodes = {node.name: node for node in self.graph_def.node}
        self._consumers: dict[str, list[Any]] = {}
        for node in self.graph_def.node:
            for name in node.input:
                self._consumers.setdefault(_operation(name), []).append(node)
        shapes = tf.Graph()
        with shapes.as_default():
            tf.import_graph_def(graph_def, name="")
        self._shapes = shapes

    def source(self, name: str) -> Any:
        """The operation behind an input, through any number of identities."""
        node = self.nodes[_operation(name)]
        while node.op == "Identity" and not node.input[0].startswith("^"):
            node = self.nodes[_operation(node.input[0])]
        return node

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value behind an input, if it is constant."""
        from tensorflow import make_ndarray

        node = self.source(name)
        return make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of the first output of an operation; empty where not even the number of dimensions is known."""
        shape = self._shapes.get_operation_by_name(_operation(name)).outputs[0].shape
        return () if shape.rank is None else tuple(shape)

    def only_consumer(self, node: Any) -> Any | None:
        """The operation that alone takes `node`'s first output, if that is so."""
        consumers = self._consumers.get(node.name, [])
        if len(consumers) != 1 or node.name in self.keep:
            return None
        found = [name for name in consumers[0].input if _operation(name) == node.name]
        return consumers[0] if found == [node.name] else None

    def add_constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        from tensorflow import make_tensor_proto

        tensor = make_tensor_proto(value)
        node = self.graph_def.node.add(name=name, op="Const")
        node.attr["dtype"].type = tensor.dtype
        node.attr["value"].tensor.CopyFrom(tensor)
        self.nodes[name] = node
        return name

    def rewrite(self, node: Any, op: str, inputs: list[str]) -> None:
        """Let `node` be another operation; its consumers stay."""
        node.op = op
        del node.input[:]
        node.input.extend(inputs)
        node.attr.clear()
        node.attr["T"].type = _FLOAT
        node.attr["data_format"].s = b"NHWC"


def _operation(name: str) -> str:
    return name.lstrip("^").split(":")[0]


def _is_plain(node: Any) -> bool:
    """Whether an operation computes float32 with channels last."""
    # Looking an attribute up makes it where it is missing.
    if "T" not in node.attr or node.attr["T"].type != _FLOAT:
        return False
    return "data_format" not in node.attr or node.attr["data_format"].s == b"NHWC"


def _make_depthwise(graph: _Graph, node: Any) -> None:
    """Call a convolution in as many groups as channels what it is: it has an operation of its own, which is faster."""
    kernel, taken = graph.constant(node.input[1]), graph.shape(node.input[0])
    if kernel is None or kernel.shape[2] != 1 or len(taken) != 4 or not _is_plain(node):
        return
    channels, strides = taken[3], node.attr["strides"].list.i
    if channels is None or channels == 1 or strides[1] != strides[2]:
        return
    depthwise = kernel.reshape(*kernel.shape[:2], channels, -1)
    node.op = "DepthwiseConv2dNative"
    node.attr.pop("use_cudnn_on_gpu", None)
    node.input[1] = graph.add_constant(f"{node.name}/depthwise_kernel", depthwise)


def _fold_into_kernel(graph: _Graph, node: Any) -> None:
    kernel = graph.constant(node.input[1])
    if kernel is None or not _is_plain(node) or (node.op == "MatMul" and node.attr["transpose_a"].b):
        return
    channels = _channels(node, kernel)
    scale, offset = np.ones(channels), np.zeros(channels)
    last = at = node
    while (following := graph.only_consumer(at)) is not None:
        affine = _affine(graph, following, at.name, channels, 2 if node.op == "MatMul" else 4)
        if affine is None:
            break
        scale, offset = scale * affine[0], offset * affine[0] + affine[1]
        at = following
        if following.op != "Identity":
            last = following
    if last is node or not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        return
    scaled = (kernel * _along_kernel(node, kernel, scale)).astype(np.float32)
    node.input[1] = graph.add_constant(f"{last.name}/folded_kernel", scaled)
    bias = graph.add_constant(f"{last.name}/folded_bias", offset.astype(np.float32))
    graph.rewrite(last, "BiasAdd", [node.name, bias])


def _channels(node: Any, kernel: NDArray[Any]) -> int:
    if node.op == "DepthwiseConv2dNative":
        return int(kernel.shape[2] * kernel.shape[3])
    return int(kernel.shape[0 if node.op == "MatMul" and node.attr["transpose_b"].b else -1])


def _along_kernel(node: Any, kernel: NDArray[Any], scale: Vector) -> Vector:
    """Shape a factor an output channel so that it multiplies the kernel."""
    if node.op == "DepthwiseConv2dNative":
        return scale.reshape(kernel.shape[2:])
    return scale[:, None] if node.op == "MatMul" and node.attr["transpose_b"].b else scale


def _affine(graph: _Graph, node: Any, taken: str, channels: int, rank: int) -> Affine | None:
    """What `node` does to its input `taken`, as scale and offset a channel (last axis); None if it is not that."""
    if node.op == "Identity":
        return 1.0, 0.0
    if not _is_plain(node) or any(name.startswith("^") for name in node.input):
        return None
    if node.op in _NORMALIZATIONS:
        return _normalization(graph, node) if node.input[0] == taken else None
    if node.op not in ("Add", "AddV2", "BiasAdd", "Mul", "RealDiv", "Sub") or len(node.input) != 2:
        return None
    first = node.input[0] == taken
    vector = _vector(graph.constant(node.input[1 if first else 0]), channels, rank)
    if vector is None:
        return None
    if node.op == "Mul":
        return vector, 0.0
    if node.op == "RealDiv":
        return (1.0 / vector, 0.0) if first and (vector != 0).all() else None
    if node.op == "Sub":
        return (1.0, -vector) if first else (-1.0, vector)
    return 1.0, vector


def _vector(value: NDArray[Any] | None, channels: int, rank: int) -> Vector | None:
    """A constant as one number a channel, if it is broadcast over everything else."""
    if value is None or value.ndim > rank:
        return None
    if value.size == 1:
        return np.full(channels, value.reshape(()), np.float64)
    return value.reshape(channels).astype(np.float64) if value.size == value.shape[-1] == channels else None


def _normalization(graph: _Graph, node: Any) -> Affine | None:
    if node.attr["is_training"].b:
        return None
    values = [graph.constant(name) for name in node.input[1:5]]
    if any(value is None for value in values):
        return None
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return scale, beta - mean * scale


def _join_affine(graph: _Graph, node: Any) -> None:
    """Make one operation of a multiplication and an addition a channel, which can fuse with an activation after it."""
    for name in node.input:
        product = graph.nodes[_operation(name)]
        if product.op != "Mul" or graph.only_consumer(product) is not node or len(graph.shape(product.name)) != 4:
            continue
        for number, factor in enumerate(product.input):
            value = graph.constant(factor)
            if value is None or value.ndim == 0 or value.shape[-1] < _FEWEST_CHANNELS:
                continue
            taken, channels = product.input[1 - number], value.shape[-1]
            first = _affine(graph, product, taken, channels, 4)
            second = _affine(graph, node, product.name, channels, 4)
            if first is None or second is None or len(graph.shape(taken)) != 4:
                continue
            scale, offset = first[0] * second[0], first[1] * second[0] + second[1]
            _normalize(graph, node, taken, scale * np.ones(channels), offset * np.ones(channels))
            return


def _normalize(graph: _Graph, node: Any, taken: str, scale: Vector, offset: Vector) -> None:
    constants = {"scale": scale, "offset": offset, "mean": np.zeros_like(scale), "variance": np.ones_like(scale)}
    inputs = [graph.add_constant(f"{node.name}/{name}", value.astype(np.float32)) for name, value in constants.items()]
    graph.rewrite(node, "FusedBatchNormV3", [taken, *inputs])
    node.attr["U"].type = _FLOAT
    node.attr["epsilon"].f = 0.0
    node.attr["is_training"].b = False
