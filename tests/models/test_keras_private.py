"""Which private names of Keras and TensorFlow the project relies on, and what the functions around them give.

Seen in Keras 3.15.1 and TensorFlow 2.21.0. Where a new version fails the first test, models/keras_private.py is the
one file to change.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models import keras_private

SEEN_IN = "seen in Keras 3.15.1 and TensorFlow 2.21.0"


def _imported(module: str) -> Any:  # A module has the attributes that its file gives it.
    return importlib.import_module(module)


def sequential() -> keras.Model:
    return keras.Sequential([layers.Input((4,)), layers.Dense(3, name="hidden"), layers.Dense(2, name="output")])


PRIVATE_NAMES = {
    "keras.Layer._flatten_layers": lambda: layers.Dense(1)._flatten_layers,
    "keras.Sequential._functional": lambda: sequential()._functional,
    "keras.Model._nodes_by_depth": lambda: sequential()._functional._nodes_by_depth,
    "keras.Operation._inbound_nodes": lambda: sequential().layers[0]._inbound_nodes,
    "keras.Operation._inbound_nodes[i].input_tensors": lambda: sequential().layers[0]._inbound_nodes[0].input_tensors,
    "keras.KerasTensor._keras_history.operation": lambda: keras.Input((2,))._keras_history.operation,
    "keras.KerasTensor._keras_history.node_index": lambda: keras.Input((2,))._keras_history.node_index,
    "keras.src.backend.config.keras_home": lambda: _imported("keras.src.backend.config").keras_home,
    "keras.src.utils.file_utils.get_file": lambda: _imported("keras.src.utils.file_utils").get_file,
    "keras.src.applications.resnet": lambda: _imported("keras.src.applications.resnet"),
    "tensorflow.python.framework.convert_to_constants.convert_variables_to_constants_v2": lambda: (
        _imported("tensorflow.python.framework.convert_to_constants").convert_variables_to_constants_v2
    ),
    "tensorflow.python.grappler.tf_optimizer.OptimizeGraph": lambda: (
        _imported("tensorflow.python.grappler.tf_optimizer").OptimizeGraph
    ),
}


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_a_private_name_still_exists(name: str) -> None:
    try:
        PRIVATE_NAMES[name]()
    except (AttributeError, ImportError) as error:
        versions = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
        pytest.fail(f"`{name}` is gone ({SEEN_IN}; this is {versions}): {error}")


def test_all_layers_reach_into_nested_models_parents_first() -> None:
    inner = sequential()
    outer = keras.Sequential([layers.Input((4,)), inner, layers.Dropout(0.5, name="dropout")], name="outer")
    listed = [layer.name for layer in keras_private.all_layers(outer)]
    assert listed[0] == "outer"
    assert {"hidden", "output", "dropout", inner.name} <= set(listed)
    assert listed.index(inner.name) < listed.index("hidden")
    assert "outer" not in [layer.name for layer in keras_private.all_layers(outer, include_self=False)]


def test_a_sequential_gives_its_functional_graph_and_a_functional_model_itself() -> None:
    model = sequential()
    functional = keras.Model(model.inputs, model.outputs)
    assert keras_private.functional_graph(functional) is functional
    inside = keras_private.functional_graph(model)
    assert inside is not model and inside.outputs[0].shape == (None, 2)


def test_graph_inputs_are_the_calls_in_this_model_alone() -> None:
    pixels = keras.Input((4,), name="pixels")
    shared = layers.Dense(4, name="shared")
    first = shared(pixels)
    second = shared(first)
    model = keras.Model(pixels, layers.Add(name="sum")([first, second]))
    shared(keras.Input((4,), name="elsewhere"))  # A call outside the model.

    by_name = {operation.name: tensors for operation, tensors in keras_private.graph_inputs(model).items()}

    assert list(by_name) == ["pixels", "shared", "sum"]
    assert by_name["pixels"] == []
    assert {id(tensor) for tensor in by_name["shared"]} == {id(pixels), id(first)}
    assert [id(tensor) for tensor in by_name["sum"]] == [id(first), id(second)]


def test_a_tensor_has_a_producer_and_the_inputs_of_its_own_call() -> None:
    pixels = keras.Input((4,))
    shared = layers.Dense(4)
    first = shared(pixels)
    second = shared(first)
    assert keras_private.producer(second) is keras_private.producer(first) is shared
    assert [id(tensor) for tensor in keras_private.producer_inputs(first)] == [id(pixels)]
    assert [id(tensor) for tensor in keras_private.producer_inputs(second)] == [id(first)]
    assert keras_private.producer_inputs(pixels) == []


def test_keras_home_is_the_one_of_the_import(tmp_path: Path) -> None:
    script = (
        "import os, keras\n"
        "from models.keras_private import keras_home_at_import\n"
        "os.environ['KERAS_HOME'] = '/elsewhere'\n"
        "print(keras_home_at_import())"
    )
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    shown = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == str(tmp_path)


def test_a_module_of_keras_is_implemented_in_the_file_that_its_constants_come_from() -> None:
    module = importlib.import_module(keras_private.private_module("keras.applications.resnet"))
    source = keras_private.application_source("keras.applications.resnet")
    assert source is not None and module.__file__ is not None
    assert source.samefile(module.__file__)
    assert module.ResNet50 is keras.applications.ResNet50


def test_backbones_download_through_the_named_function(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    def download(name: str, *arguments: object, **options: object) -> str:
        requests.append(name)
        raise ConnectionError

    monkeypatch.setattr(keras_private.DOWNLOAD_FUNCTION, download)
    with pytest.raises(ConnectionError):
        keras.applications.MobileNet(weights="imagenet", include_top=False, input_shape=(128, 128, 3), alpha=0.25)
    assert requests == ["mobilenet_2_5_128_tf_no_top.h5"]


def test_a_frozen_function_has_no_variables_and_computes_the_same() -> None:
    variable = tf.Variable([1.0, 2.0])
    traced = tf.function(lambda x: x * variable).get_concrete_function(tf.TensorSpec((2,), tf.float32))
    frozen = keras_private.frozen_function(traced)
    variable.assign([0.0, 0.0])
    assert not frozen.variables
    np.testing.assert_array_equal(np.ravel(frozen(tf.constant([3.0, 4.0]))), [3.0, 8.0])


def test_an_optimized_graph_has_its_constants_folded_and_keeps_what_is_listed() -> None:
    with tf.Graph().as_default() as graph:
        inputs = tf.compat.v1.placeholder(tf.float32, (2,), name="input")
        total = tf.add(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]), name="total")
        tf.multiply(inputs, total, name="output")
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("constfold")
    exported = tf.compat.v1.MetaGraphDef(graph_def=graph.as_graph_def())
    exported.collection_def["train_op"].node_list.value.extend(["output", "input"])

    nodes = {node.name: node for node in keras_private.optimized_graph(config, exported).node}

    assert nodes["output"].op == "Mul" and "input" in nodes
    assert nodes["total"].op == "Const"
    np.testing.assert_array_equal(tf.make_ndarray(nodes["total"].attr["value"].tensor), [4.0, 6.0])
