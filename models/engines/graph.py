"""A Keras model as a graph of TensorFlow operations that does not change: frozen, folded, lowered to bfloat16, run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models.engines.folding import fold

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

# What may stand between the last convolution's features and the output, and is computed in float32.
_POOLINGS = ("Identity", "Mean", "Max", "Reshape", "Squeeze", "Cast")


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A function from one tensor to another, without variables.

    Attributes:
        graph_def: TensorFlow's `GraphDef`.
        taken: name of the input operation.
        given: name of the output operation.
        shape: (batch, height, width, 3), all known: a fixed batch lets every shape be inferred and every fusion match.
    """

    graph_def: Any
    taken: str
    given: str
    shape: tuple[int, int, int, int]


def trace(model: keras.Model, shape: tuple[int, int, int, int]) -> Any:
    """Trace a model at one input shape, pixels float32: TensorFlow's concrete function, its output float32."""
    import tensorflow as tf

    def call(pixels: Any) -> Any:
        # Says the shape inside the graph: what feeds it tells the optimiser nothing.
        return tf.cast(model(tf.reshape(pixels, shape), training=False), tf.float32)

    return tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))


def freeze(traced: Any) -> Graph:
    """Make constants of the variables of a traced model and fold them."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(traced)
    graph = Graph(
        graph_def=_inlinable(frozen.graph.as_graph_def()),
        taken=frozen.inputs[0].op.name,
        given=frozen.outputs[0].op.name,
        shape=tuple(frozen.inputs[0].shape),
    )
    graph = optimize(graph, ["function", "constfold", "dependency"])
    folded = fold(graph.graph_def, (graph.taken, graph.given))
    return replace(graph, graph_def=_needed(folded, graph.given))


def lower(graph: Graph) -> Graph:
    """Compute convolutions and what lies between them in bfloat16; pixel scaling and the last pooling stay float32."""
    return optimize(
        graph,
        ["auto_mixed_precision_onednn_bfloat16", "constfold", "dependency"],
        keep=_tail(graph),
        auto_mixed_precision_onednn_bfloat16=True,
    )


def optimize(graph: Graph, passes: Sequence[str], *, keep: Sequence[str] = (), **switches: bool) -> Graph:
    """Run passes of TensorFlow's graph optimiser on this graph alone, without changing what the process does elsewhere.

    Args:
        graph: the graph.
        passes: names of the optimisers, in order.
        keep: names of operations to leave as they are, besides input and output.
        switches: options of `RewriterConfig` to turn on or off.
    """
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
    from tensorflow.python.grappler import tf_optimizer

    config = config_pb2.ConfigProto()
    options = config.graph_options.rewrite_options
    options.min_graph_nodes = -1
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    options.optimizers.extend(passes)
    for name, value in switches.items():
        setattr(options, name, getattr(rewriter_config_pb2.RewriterConfig, "ON" if value else "OFF"))
    exported = meta_graph_pb2.MetaGraphDef(graph_def=graph.graph_def)
    # The optimiser leaves alone whatever is listed as fetched.
    exported.collection_def["train_op"].node_list.value.extend([graph.given, graph.taken, *keep])
    return replace(graph, graph_def=tf_optimizer.OptimizeGraph(config, exported))


def function_of(graph: Graph) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Make a function that runs a graph: pixels of exactly `graph.shape` -> features (batch, features) float32."""
    import tensorflow as tf

    def call(pixels: Any) -> Any:
        named = {f"{graph.taken}:0": pixels}
        return tf.graph_util.import_graph_def(graph.graph_def, named, [f"{graph.given}:0"], name="")[0]

    compiled = tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec(graph.shape, tf.float32))
    return lambda pixels: compiled(tf.constant(pixels)).numpy()


def _inlinable(graph_def: Any) -> Any:
    """Let function calls be inlined that Keras marks for XLA: its convolutions in groups, which oneDNN runs itself."""
    functions = graph_def.library.function
    for holder in (*graph_def.node, *functions, *(node for function in functions for node in function.node_def)):
        holder.attr.pop("_XlaMustCompile", None)
        holder.attr.pop("_noinline", None)
    return graph_def


def _needed(graph_def: Any, given: str) -> Any:
    """Drop the operations that the output does not depend on."""
    nodes = {node.name: node for node in graph_def.node}
    found, waiting = {given}, [given]
    while waiting:
        inputs = {name.lstrip("^").split(":")[0] for name in nodes[waiting.pop()].input} - found
        found |= inputs
        waiting += inputs
    kept = type(graph_def)(library=graph_def.library, versions=graph_def.versions)
    kept.node.extend(node for node in graph_def.node if node.name in found)
    return kept


def _tail(graph: Graph) -> list[str]:
    """The operations from the output back to where pooling begins."""
    nodes = {node.name: node for node in graph.graph_def.node}
    found: list[str] = []
    at = nodes[graph.given]
    while at.op in _POOLINGS:
        found.append(at.name)
        at = nodes[at.input[0].lstrip("^").split(":")[0]]
    return found
