"""A frozen graph computes what its model computes, at one shape and without variables."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models.backbones import build_backbone
from models.classifier import build_feature_extractor
from models.engines.graph import freeze, function_of, lower, optimize, trace
from models.engines.source import TracedBase
from models.engines.table import ENGINES
from models.engines.trials import TOLERANCE
from models.levels import add_levels
from models.machine import has_bfloat16_units
from models.zoo import BACKBONES
from tests.models.engines.tiny import SIDE, pictures, plain, randomize, relative_difference, small

SHAPE = (4, SIDE, SIDE, 3)


def test_a_frozen_graph_has_no_variables_and_gives_the_features_of_the_model() -> None:
    model = small()
    graph = freeze(trace(model, SHAPE))
    assert graph.shape == SHAPE
    names = {node.name for node in graph.graph_def.node}
    assert {graph.input, graph.output} <= names
    assert not [node.op for node in graph.graph_def.node if "Variable" in node.op]
    assert relative_difference(function_of(graph)(pictures(4)), plain(model, pictures(4))) < 1e-5


def test_a_frozen_graph_keeps_only_what_its_output_needs() -> None:
    graph = freeze(trace(small(), SHAPE))
    read = {name.lstrip("^").partition(":")[0] for node in graph.graph_def.node for name in node.input}
    assert {node.name for node in graph.graph_def.node} - read == {graph.output}


def test_a_frozen_graph_does_not_follow_the_model_any_more() -> None:
    model = small()
    before = plain(model, pictures(4))
    graph = freeze(trace(model, SHAPE))
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    assert relative_difference(function_of(graph)(pictures(4)), before) < 1e-5


def test_lowering_stays_close_to_float32() -> None:
    model = small()
    lowered = function_of(lower(freeze(trace(model, SHAPE))))
    assert 0 < relative_difference(lowered(pictures(4)), plain(model, pictures(4))) < 2e-2


def test_operations_that_are_kept_survive_an_optimization() -> None:
    graph = freeze(trace(small(), SHAPE))
    identity = graph.graph_def.node.add(name="kept", op="Identity", input=[graph.output])
    identity.attr["T"].type = tf.float32.as_datatype_enum
    for keep in ((), ("kept",)):
        optimized = optimize(graph, ["pruning"], keep=keep)
        assert ("kept" in {node.name for node in optimized.graph_def.node}) == bool(keep)


def test_pixel_scaling_and_the_last_pooling_stay_in_float32() -> None:
    def body(x: Any) -> Any:
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(8, 3)(x)))
        return layers.Activation("swish")(layers.BatchNormalization()(layers.Conv2D(8, 3)(x)))

    inputs = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(body(inputs)))
    randomize(model)
    graph = lower(freeze(trace(model, (4, SIDE, SIDE, 3))))

    types = {
        node.op: tf.as_dtype(node.attr["T"].type).name
        for node in graph.graph_def.node
        if "T" in node.attr and node.op != "Cast"
    }
    if not has_bfloat16_units():
        pytest.skip("TensorFlow computes in bfloat16 only on processors that have units for it")
    assert types["Conv2D"] == types["Relu"] == types["BiasAdd"] == "bfloat16"
    assert types["AddV2"] == types["Mean"] == "float32"


def test_the_poolings_of_levels_stay_in_float32_and_all_engines_agree() -> None:
    keras.utils.set_random_seed(0)
    backbone = build_backbone(BACKBONES["mobilenet_v2_0.35"], weights="none", image_size=32)
    model = build_feature_extractor(add_levels(backbone))
    source = TracedBase(model, (4, 32, 32, 3))
    lowered = lower(source.graph).graph_def.node
    types = {tf.as_dtype(node.attr["T"].type).name for node in lowered if node.op in ("Mean", "ConcatV2")}
    assert types == {"float32"}
    assert sum(node.op == "Mean" for node in lowered) == 7
    of_convolutions = {tf.as_dtype(node.attr["T"].type).name for node in lowered if node.op == "Conv2D"}
    assert of_convolutions == {"bfloat16" if has_bfloat16_units() else "float32"}

    exact = plain(model, pictures(4, 32))
    for name, engine in ENGINES.items():
        for precision in set(engine.precisions()) if name != "gpu" else ():
            run, _ = engine.build(source, precision)
            limit = 1e-4 if precision == "float32" else TOLERANCE
            assert relative_difference(run(pictures(4, 32)), exact) < limit, (name, precision)


def test_optimizing_one_graph_changes_no_option_of_the_process() -> None:
    before = tf.config.optimizer.get_experimental_options()
    lower(freeze(trace(small(), (4, SIDE, SIDE, 3))))

    assert tf.config.optimizer.get_experimental_options() == before
