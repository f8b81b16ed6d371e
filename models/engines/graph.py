"""Turns a Keras model into a frozen TensorFlow graph: traced, folded, lowered to bfloat16, run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from models.engines.folding import fold
from models.engines.rewriting import GraphDef, operation
from models.keras_private import frozen_function, optimized_graph

if TYPE_CHECKING:
    import keras

    from models.arrays import FeatureRows, Pixels, Tensor

# TensorFlow's `ConcreteFunction`: pixels float32 at a fixed shape -> features float32.
Traced: TypeAlias = Any
# The operations between the last convolution's features and the output; they are computed in float32.
_COPIES = ("Identity", "Cast")
_POOLINGS = (*_COPIES, "Mean", "Max", "Reshape", "Squeeze")


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A function from one tensor to another, without variables.

    Attributes:
        graph_def: its operations.
        input: name of the input operation.
        output: name of the output operation.
        shape: (batch, height, width, 3), all known: a fixed batch lets every shape be inferred and every fusion match.
    """

    graph_def: GraphDef
    input: str
    output: str
    shape: tuple[int, int, int, int]


def trace(model: keras.Model, shape: tuple[int, int, int, int]) -> Traced:
    """Trace a model at one input shape."""
    import tensorflow as tf

    def call(pixels: Tensor) -> Tensor:
        # The reshape puts the shape into the graph: the optimizer does not see that of the input.
        return tf.cast(model(tf.reshape(pixels, shape), training=False), tf.float32)

    return tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))


def freeze(traced: Traced) -> Graph:
    """Turn the variables of a traced model into constants, and fold what follows the convolutions."""
    frozen = frozen_function(traced)
    graph = Graph(
        graph_def=_allow_inlining(frozen.graph.as_graph_def()),
        input=frozen.inputs[0].op.name,
        output=frozen.outputs[0].op.name,
        shape=tuple(frozen.inputs[0].shape),
    )
    graph = optimize(graph, ["function", "constfold", "dependency"])
    folded = fold(graph.graph_def, (graph.input, graph.output))
    return replace(graph, graph_def=_prune(folded, graph.output))


def lower(graph: Graph) -> Graph:
    """Compute the convolutions and all between them in bfloat16; pixel scaling and the last poolings stay float32."""
    return optimize(
        graph,
        ["auto_mixed_precision_onednn_bfloat16", "constfold", "dependency"],
        keep=_list_tail(graph),
        auto_mixed_precision_onednn_bfloat16=True,
    )


def optimize(graph: Graph, passes: Sequence[str], *, keep: Sequence[str] = (), **switches: bool) -> Graph:
    """Run passes of TensorFlow's graph optimizer on this graph alone; the options of the process stay as they are.

    Args:
        graph: the graph.
        passes: names of optimizers, in order.
        keep: names of operations to leave as they are, besides input and output.
        switches: options of `RewriterConfig` to turn on or off.
    """
    import tensorflow as tf

    config = tf.compat.v1.ConfigProto()
    options = config.graph_options.rewrite_options
    options.min_graph_nodes = -1
    options.meta_optimizer_iterations = options.ONE
    options.optimizers.extend(passes)
    for name, value in switches.items():
        setattr(options, name, options.ON if value else options.OFF)
    exported = tf.compat.v1.MetaGraphDef(graph_def=graph.graph_def)
    # The optimizer leaves alone the operations that are listed as fetched.
    exported.collection_def["train_op"].node_list.value.extend([graph.output, graph.input, *keep])
    return replace(graph, graph_def=optimized_graph(config, exported))


def function_of(graph: Graph) -> Callable[[Pixels], FeatureRows]:
    """Make a function that runs a graph: pixels of exactly `graph.shape` -> features (batch, features)."""
    import tensorflow as tf

    def call(pixels: Tensor) -> Tensor:
        inputs = {f"{graph.input}:0": pixels}
        return tf.graph_util.import_graph_def(graph.graph_def, inputs, [f"{graph.output}:0"], name="")[0]

    compiled = tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec(graph.shape, tf.float32))
    return lambda pixels: compiled(tf.constant(pixels)).numpy()


def _allow_inlining(graph_def: GraphDef) -> GraphDef:
    """Let calls be inlined that Keras marks for XLA: its convolutions in groups, which oneDNN runs itself."""
    functions = graph_def.library.function
    for holder in (*graph_def.node, *functions, *(node for function in functions for node in function.node_def)):
        holder.attr.pop("_XlaMustCompile", None)
        holder.attr.pop("_noinline", None)
    return graph_def


def _prune(graph_def: GraphDef, output: str) -> GraphDef:
    """Drop the operations that the output does not depend on."""
    nodes = {node.name: node for node in graph_def.node}
    needed, waiting = {output}, [output]
    while waiting:
        inputs = {operation(name) for name in nodes[waiting.pop()].input} - needed
        needed |= inputs
        waiting += inputs
    pruned = type(graph_def)(library=graph_def.library, versions=graph_def.versions)
    pruned.node.extend(node for node in graph_def.node if node.name in needed)
    return pruned


def _list_tail(graph: Graph) -> list[str]:
    """The names of the operations from the output back to where pooling begins, in each branch of joined levels."""
    nodes = {node.name: node for node in graph.graph_def.node}
    tail: list[str] = []
    node = nodes[graph.output]
    while node.op in _COPIES:
        tail.append(node.name)
        node = nodes[operation(node.input[0])]
    branches = [node]
    if node.op == "ConcatV2":  # of levels; its last input is the axis
        tail.append(node.name)
        branches = [nodes[operation(name)] for name in node.input[:-1]]
    for branch in branches:
        while branch.op in _POOLINGS:
            tail.append(branch.name)
            branch = nodes[operation(branch.input[0])]
    return tail
