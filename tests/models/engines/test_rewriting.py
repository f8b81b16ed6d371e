"""Operations of a graph are looked up by name, and rewritten in a copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from models.engines.rewriting import GraphDef, Rewriting, is_plain, operation


def graph_of(build: Callable[[tf.Tensor], object]) -> GraphDef:
    """The operations that `build` makes of a placeholder `pixels` (2, 3) float32."""
    graph = tf.Graph()
    with graph.as_default():
        build(tf.compat.v1.placeholder(tf.float32, (2, 3), name="pixels"))
    return graph.as_graph_def()


@pytest.mark.parametrize("name", ["conv", "conv:0", "conv:1", "^conv"])
def test_an_input_names_an_operation(name: str) -> None:
    assert operation(name) == "conv"


def test_a_constant_is_read_through_identities() -> None:
    def build(pixels: tf.Tensor) -> None:
        constant = tf.constant([1.5, 2.5], name="constant")
        tf.identity(tf.identity(constant, name="first"), name="second")

    graph = Rewriting(graph_of(build), frozenset())
    for name in ("constant", "first", "second:0"):
        np.testing.assert_array_equal(graph.constant(name), [1.5, 2.5])
        assert graph.source(name).name == "constant"
    assert graph.constant("pixels") is None


def test_shapes_are_inferred() -> None:
    graph = Rewriting(graph_of(lambda pixels: tf.matmul(pixels, tf.ones((3, 5)), name="product")), frozenset())
    assert graph.shape("product") == graph.shape("product:0") == (2, 5)


def test_the_only_consumer_is_told_from_one_of_several() -> None:
    def build(pixels: tf.Tensor) -> None:
        once = tf.nn.relu(pixels, name="once")
        twice = tf.nn.elu(once, name="twice")
        tf.add(twice, tf.ones((2, 3)), name="first")
        tf.nn.relu(twice, name="second")
        squared = tf.nn.relu(pixels, name="squared")
        tf.multiply(squared, squared, name="square")
        _, right = tf.split(pixels, [1, 2], axis=1, name="split")
        tf.nn.relu(right, name="of_second_output")

    graph_def = graph_of(build)
    graph = Rewriting(graph_def, frozenset())
    consumer = graph.only_consumer(graph.nodes["once"])
    assert consumer is not None
    assert consumer.name == "twice"
    # Two consumers, one that takes it twice, none, and one of its second output.
    for name in ("twice", "squared", "second", "split"):
        assert graph.only_consumer(graph.nodes[name]) is None, name
    assert Rewriting(graph_def, frozenset({"once"})).only_consumer(graph.nodes["once"]) is None


def test_a_rewritten_operation_computes_in_place_and_the_original_stays() -> None:
    graph_def = graph_of(lambda pixels: tf.nn.relu(tf.matmul(pixels, tf.eye(3), name="product"), name="output"))
    graph = Rewriting(graph_def, frozenset())
    bias = graph.add_constant("bias", np.asarray([10.0, 20.0, 30.0], np.float32))
    graph.rewrite(graph.nodes["product"], "BiasAdd", ["pixels", bias])

    def call(pixels: tf.Tensor) -> tf.Tensor:
        return tf.graph_util.import_graph_def(graph.graph_def, {"pixels:0": pixels}, ["output:0"], name="")[0]

    np.testing.assert_array_equal(tf.function(call)(tf.zeros((2, 3))), [[10.0, 20.0, 30.0]] * 2)
    assert set(graph.nodes["product"].attr) == {"T", "data_format"}
    assert "bias" not in {node.name for node in graph_def.node}
    assert next(node.op for node in graph_def.node if node.name == "product") == "MatMul"


def test_float32_with_channels_last_is_plain() -> None:
    def build(pixels: tf.Tensor) -> None:
        tf.nn.relu(pixels, name="float32")
        tf.nn.relu(tf.cast(pixels, tf.float64), name="float64")
        image = tf.reshape(pixels, (1, 1, 2, 3))
        tf.nn.bias_add(image, tf.ones(3), name="last")
        tf.nn.bias_add(image, tf.ones(1), data_format="NCHW", name="first")
        tf.no_op(name="typeless")

    nodes = Rewriting(graph_of(build), frozenset()).nodes
    names = ("float32", "float64", "last", "first", "typeless")
    assert [is_plain(nodes[name]) for name in names] == [True, False, True, False, False]
    assert "T" not in nodes["typeless"].attr
