"""Reaches what Keras and TensorFlow offer under private names only: layers of layers, graph edges, graph rewriting.

The names were seen in Keras 3.15.1 and TensorFlow 2.21.0; the tests of this module say which of them a new version
took away. It imports nothing heavy at the top.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras

    from models.arrays import Tensor

Operation: TypeAlias = Any  # A `keras.Operation`, layer or function; the attributes that differ are looked up.
# An operation, the names of the models it lies in, its positional arguments and its options -> its output.
CallOperation: TypeAlias = "Callable[[Operation, tuple[str, ...], tuple[Tensor, ...], dict[str, Any]], Tensor]"
Message: TypeAlias = Any  # TensorFlow ships no types: a protocol buffer, or a concrete function.
# The function through which `keras.applications` downloads weights; tests put one without a network in its place.
DOWNLOAD_FUNCTION = "keras.src.utils.file_utils.get_file"


def all_layers(layer: keras.Layer, *, include_self: bool = True) -> list[keras.Layer]:
    """List a layer and the layers inside it at any depth, parents before their children."""
    return list(layer._flatten_layers(include_self=include_self))


def functional_graph(model: keras.Model) -> keras.Model:
    """Return the functional model that a Sequential model is made of; any other model itself."""
    return getattr(model, "_functional", None) or model


def graph_inputs(model: keras.Model) -> dict[Operation, list[keras.KerasTensor]]:
    """Map each operation of a functional model to the tensors that it takes in this model.

    Returns:
        From the input upwards. A layer that is called several times has the tensors of all its calls in this model;
        its calls in other models do not count.
    """
    calls = {id(node) for depth in model._nodes_by_depth.values() for node in depth}
    return {
        operation: [tensor for node in operation._inbound_nodes if id(node) in calls for tensor in node.input_tensors]
        for operation in model.operations
    }


def run_graph(model: keras.Model, inputs: list[Tensor], call: CallOperation, path: tuple[str, ...] = ()) -> Tensor:
    """Run a functional model operation by operation, models inside it too.

    Args:
        model: with one output.
        inputs: one tensor for each input of the model.
        call: calls an operation that is not a model itself.
        path: names of the models that this one lies in, from the outside.

    Returns:
        The output of the model.
    """
    import keras

    def run(operation: Operation) -> Callable[..., Tensor]:
        inner = functional_graph(operation)
        if hasattr(inner, "_run_through_graph"):
            return lambda *tensors, **_: run_graph(inner, list(tensors), call, (*path, operation.name))

        def apply(*arguments: Tensor, **options: Any) -> Tensor:  # options of any operation of Keras
            if "training" in getattr(operation, "_call_context_args", {}):
                options["training"] = False
            return call(operation, path, arguments, options)

        return apply

    (output,) = keras.tree.flatten(functional_graph(model)._run_through_graph(inputs, operation_fn=run))
    return output


def producer(tensor: keras.KerasTensor) -> Operation:
    """Return the operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def producer_inputs(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    """List the tensors that the call which produced a symbolic tensor took; none for a model's input."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def keras_home_at_import() -> Path:
    """Return the folder in which this process's Keras looks for weights: KERAS_HOME as it was at the import."""
    from keras.src.backend.config import keras_home

    return Path(keras_home())


def private_module(module: str) -> str:
    """Return the name of the module that implements a public one: `keras.applications.resnet` is mostly imports."""
    return module.replace("keras.", "keras.src.", 1)


def application_source(module: str) -> Path | None:
    """Return the file that implements a module such as `keras.applications.resnet`, without importing Keras.

    Returns:
        None where Keras is not installed; otherwise a path at which there may be no file.
    """
    package = importlib.util.find_spec("keras")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent.joinpath(*private_module(module).split(".")[1:]).with_suffix(".py")


def frozen_function(traced: Message) -> Message:
    """Return a concrete function whose variables became constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(traced)


def optimized_graph(config: Message, exported: Message) -> Message:
    """Run TensorFlow's graph optimizer on one graph, without changing the settings of the process.

    Args:
        config: a `ConfigProto` that names the passes in its rewrite options.
        exported: a `MetaGraphDef`; operations in its collection `train_op` stay.

    Returns:
        The optimized `GraphDef`.
    """
    from tensorflow.python.grappler import tf_optimizer

    return tf_optimizer.OptimizeGraph(config, exported)
