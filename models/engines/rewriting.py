"""Looks up the operations of a frozen TensorFlow graph and rewrites them in place."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

from numpy.typing import NDArray

# A `GraphDef` and a `NodeDef` of it; TensorFlow's protocol buffers carry no types.
GraphDef: TypeAlias = Any
Node: TypeAlias = Any  # likewise
# The value of a constant, of any number type.
Constant: TypeAlias = NDArray[Any]
FLOAT = 1  # DT_FLOAT


class Rewriting:
    """A copy of a graph to rewrite.

    Attributes:
        graph_def: the copy.
        keep: names of operations whose value must stay what it is.
        nodes: name -> operation.
    """

    def __init__(self, graph_def: GraphDef, keep: frozenset[str]) -> None:
        self.graph_def = type(graph_def)()
        self.graph_def.CopyFrom(graph_def)
        self.keep = keep
        self._original = graph_def
        self.nodes = {node.name: node for node in self.graph_def.node}
        self._consumers: dict[str, list[Node]] = {}
        for node in self.graph_def.node:
            for name in node.input:
                self._consumers.setdefault(operation(name), []).append(node)

    @cached_property
    def _shapes(self) -> Any:  # TensorFlow ships no types
        """The graph as it was, a `tf.Graph` with shapes inferred."""
        import tensorflow as tf

        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(self._original, name="")
        return graph

    def source(self, name: str) -> Node:
        """The operation behind an input, through any number of identities."""
        node = self.nodes[operation(name)]
        while node.op == "Identity" and not node.input[0].startswith("^"):
            node = self.nodes[operation(node.input[0])]
        return node

    def constant(self, name: str) -> Constant | None:
        """The value behind an input, if it is constant."""
        from tensorflow import make_ndarray

        node = self.source(name)
        return make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of the first output of an operation; empty where not even the number of dimensions is known."""
        shape = self._shapes.get_operation_by_name(operation(name)).outputs[0].shape
        return () if shape.rank is None else tuple(shape)

    def only_consumer(self, node: Node) -> Node | None:
        """The only operation that consumes `node`'s output, and takes its first output once; None if there are more."""
        consumers = self._consumers.get(node.name, [])
        if len(consumers) != 1 or node.name in self.keep:
            return None
        inputs = [name for name in consumers[0].input if operation(name) == node.name]
        return consumers[0] if inputs == [node.name] else None

    def add_constant(self, name: str, value: Constant) -> str:
        """Add a constant and return its name."""
        from tensorflow import make_tensor_proto

        tensor = make_tensor_proto(value)
        node = self.graph_def.node.add(name=name, op="Const")
        node.attr["dtype"].type = tensor.dtype
        node.attr["value"].tensor.CopyFrom(tensor)
        self.nodes[name] = node
        return name

    def rewrite(self, node: Node, op: str, inputs: list[str]) -> None:
        """Make another float32 operation of `node`; its name and its consumers stay."""
        node.op = op
        del node.input[:]
        node.input.extend(inputs)
        node.attr.clear()
        node.attr["T"].type = FLOAT
        if op != "AddV2":
            node.attr["data_format"].s = b"NHWC"


def operation(name: str) -> str:
    """Name of the operation behind an input."""
    return name.lstrip("^").split(":")[0]


def is_plain(node: Node) -> bool:
    """Whether an operation computes float32 with channels last."""
    # Looking an attribute up makes it where it is missing.
    if "T" not in node.attr or node.attr["T"].type != FLOAT:
        return False
    return "data_format" not in node.attr or node.attr["data_format"].s == b"NHWC"
