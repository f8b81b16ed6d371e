"""A joined model answers as its members do together, shares what they share, and reloads where headstart is not."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.classifier import build_classifier
from models.ensemble import combine
from models.heads import HEADS, build_head
from models.keras_private import graph_inputs
from models.pools import POOLS, StackingRegression

FEATURES = 6


def backbone(seed: int = 0, size: int = 16) -> keras.Model:
    """A small convolutional network with batch normalisation that is not the identity."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    x = layers.Conv2D(FEATURES, 3, strides=2, activation="relu")(x)
    x = layers.BatchNormalization(moving_mean_initializer="random_normal")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(pixels, x, name="backbone")


def head(name: str = "linear", seed: int = 0, classes: int = 3) -> keras.Model:
    """A head with weights that make a difference."""
    generator = np.random.default_rng(seed)
    built = build_head(HEADS[name], num_features=FEATURES, num_classes=classes)
    for weight in built.weights:
        spread = (
            1 + generator.random(weight.shape) if "variance" in weight.name else generator.normal(size=weight.shape)
        )
        weight.assign(spread.astype(np.float32))
    return built


def pixels(count: int = 5, size: int = 16) -> np.ndarray:
    return np.random.default_rng(7).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images, training=False))


def backbones_in(model: keras.Model) -> list[keras.Model]:
    return [layer for layer in model.layers if layer.name.startswith("backbone")]


def calls(layer: keras.layers.Layer, model: keras.Model) -> int:
    """How often `layer` runs in the graph of `model`."""
    return len(graph_inputs(model)[layer])  # A backbone takes one tensor a call.


def traced(model: keras.Model) -> Counter[str]:
    """How many operations of each kind really run."""
    import tensorflow as tf

    shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    graph = tf.function(lambda images: model(images, training=False)).get_concrete_function(shape).graph
    return Counter(operation.type for operation in graph.get_operations())


@pytest.mark.parametrize("heads", [("linear", "linear"), ("mlp", "mlp"), ("linear", "mlp", "linear")])
def test_mean_is_the_mean_of_the_members(heads: tuple[str, ...]) -> None:
    shared = backbone()
    members = [build_classifier(shared, head(name, seed)) for seed, name in enumerate(heads)]
    expected = np.mean([predict(member, pixels()) for member in members], axis=0)
    assert np.abs(predict(combine(members), pixels()) - expected).max() < 1e-6


def test_members_on_the_same_backbone_run_it_once() -> None:
    # Separately made and separately named: only layers and weights say that they are the same.
    one, other, third = backbone(), backbone(), backbone(seed=1)
    assert one.layers[2].name != other.layers[2].name
    members = [
        build_classifier(one, head(seed=0)),
        build_classifier(third, head(seed=1)),
        build_classifier(other, head("mlp", seed=2)),
    ]
    joined = combine(members)
    assert len(backbones_in(joined)) == 2
    assert [calls(network, joined) for network in backbones_in(joined)] == [1, 1]
    assert traced(joined)["Conv2D"] == 2
    expected = np.mean([predict(member, pixels()) for member in members], axis=0)
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


def test_forty_heads_are_one_matrix_product() -> None:
    operations = traced(combine([build_classifier(backbone(), head(seed=seed)) for seed in range(40)]))
    assert operations["Conv2D"] == 1
    assert operations["MatMul"] + operations["BatchMatMulV2"] + operations["Einsum"] <= 2  # heads and weighted mean


def test_one_changed_weight_is_another_backbone() -> None:
    one, other = backbone(), backbone()
    kernel = other.layers[2].get_weights()
    kernel[0][0, 0, 0, 0] += 1e-6
    other.layers[2].set_weights(kernel)
    joined = combine([build_classifier(one, head(seed=0)), build_classifier(other, head(seed=1))])
    assert len(backbones_in(joined)) == 2


def test_max_and_average_pooling_share_the_backbone_but_not_the_features() -> None:
    members = [
        build_classifier(backbone(), head(seed=0), pooling="avg"),
        build_classifier(backbone(), head(seed=1), pooling="max"),
    ]
    joined = combine(members)
    assert len(backbones_in(joined)) == 1
    expected = np.mean([predict(member, pixels()) for member in members], axis=0)
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


def test_smaller_members_resize_the_same_pixels_once() -> None:
    small = [build_classifier(backbone(seed, size=8), head(seed=seed)) for seed in (0, 1)]
    large = build_classifier(backbone(2, size=16), head(seed=2))
    joined = combine([*small, large])
    assert joined.input_shape == (None, 16, 16, 3)
    assert sum(type(operation).__name__ == "Resize" for operation in joined.operations) == 1
    shrunk = np.asarray(keras.ops.image.resize(pixels(), (8, 8), antialias=True))
    expected = (sum(predict(member, shrunk) for member in small) + predict(large, pixels())) / 3
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


def test_called_without_training_it_predicts() -> None:
    # keras.layers.Resizing would switch the dropout on here, and in a SavedModel.
    joined = combine(
        [build_classifier(backbone(0, size=8), head("mlp", 0)), build_classifier(backbone(1), head("mlp", 1))]
    )
    assert np.array_equal(np.asarray(joined(pixels())), predict(joined, pixels()))


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_classes_in_another_order_are_put_right(name: str) -> None:
    one, other = build_classifier(backbone(0), head(name, 0)), build_classifier(backbone(1), head(name, 1))
    joined = combine([one, other], columns=[(0, 1, 2), (2, 0, 1)])
    expected = (predict(one, pixels()) + predict(other, pixels())[:, [2, 0, 1]]) / 2
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


def test_a_class_that_a_member_does_not_know_gets_nothing_from_it() -> None:
    one, other = build_classifier(backbone(0), head(seed=0)), build_classifier(backbone(1), head(seed=1, classes=2))
    joined = combine([one, other], columns=[(0, 1, 2), (1, None, 0)])
    second = predict(other, pixels())
    expected = (predict(one, pixels()) + np.stack([second[:, 1], np.zeros(5), second[:, 0]], axis=1)) / 2
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


@pytest.mark.parametrize("columns", [[(0, 1, 2), (0, 1)], [(0, 1, 2), (0, 0, 1)], [(0, 1, 2)], None])
def test_classes_that_do_not_fit_are_refused(columns: list[tuple[int, ...]] | None) -> None:
    members = [build_classifier(backbone(0), head(seed=0)), build_classifier(backbone(1), head(seed=1, classes=2))]
    with pytest.raises(ValueError, match=r"classes|columns"):
        combine(members, columns=columns)


def test_any_model_from_pixels_to_probabilities_can_be_a_member() -> None:
    inner = combine([build_classifier(backbone(0), head(seed=0)), build_classifier(backbone(1), head(seed=1))])
    strange = keras.Sequential([layers.Input((16, 16, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    simple = build_classifier(backbone(2), head(seed=2))
    joined = combine([inner, simple, strange], [2, 1, 1], columns=[(0, 1, 2), (0, 1, 2), (1, 2, 0)])
    expected = (2 * predict(inner, pixels()) + predict(simple, pixels()) + predict(strange, pixels())[:, [1, 2, 0]]) / 4
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


def test_the_layer_members_keeps_their_order_whatever_is_fused() -> None:
    members = [
        build_classifier(backbone(0), head("mlp", 0)),
        build_classifier(backbone(1), head("linear", 1)),
        build_classifier(backbone(0), head("mlp", 2)),
        build_classifier(backbone(0), head("linear", 3)),
    ]
    joined = combine(members)
    by_member = keras.Model(joined.input, joined.get_layer("members").output)
    for place, member in enumerate(members):
        assert np.abs(predict(by_member, pixels())[:, place] - predict(member, pixels())).max() < 1e-6


def test_members_are_left_as_they_were() -> None:
    member = build_classifier(backbone(), head("mlp"))
    before, names = predict(member, pixels()), [layer.name for layer in member.layers]
    combine([member, member], temperature=3.0)
    assert [layer.name for layer in member.layers] == names
    assert np.array_equal(predict(member, pixels()), before)


RELOAD = """
import importlib.util, os, sys
sys.path[:] = [folder for folder in sys.path if not os.path.isdir(os.path.join(folder, "pipelines"))]
assert importlib.util.find_spec("pipelines") is None
import keras, numpy, tensorflow
pixels = numpy.load("pixels.npy")
for name in sys.argv[1:]:
    numpy.save(f"{name}-keras.npy", keras.models.load_model(f"{name}.keras")(pixels))
    saved = tensorflow.saved_model.load(name)
    numpy.save(f"{name}-saved.npy", saved.serve(pixels))
"""


# Keras converts variables in a way that numpy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_it_reloads_where_headstart_is_not(tmp_path: Path) -> None:
    members = [
        build_classifier(backbone(0), head("mlp", 0)),
        build_classifier(backbone(1, size=8), head("linear", 1)),
        build_classifier(backbone(0), head("linear", 2)),
        keras.Sequential([layers.Input((16, 16, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")]),
    ]
    kernel = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    stack = StackingRegression(kernel=kernel, bias=np.zeros(3, np.float32))
    columns = [(0, 1, 2), (2, 1, 0), (0, 1, 2), (1, 2, 0)]
    expected = {}
    for method in POOLS:
        joined = combine(members, [1, 2, 3, 4], method=method, columns=columns, stack=stack, temperature=1.5)
        joined.save(tmp_path / f"{method}.keras")
        joined.export(tmp_path / method, verbose=False)
        expected[method] = predict(joined, pixels())
    np.save(tmp_path / "pixels.npy", pixels())
    done = subprocess.run([sys.executable, "-c", RELOAD, *POOLS], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    for method, probabilities in expected.items():
        for form in ("keras", "saved"):
            assert np.abs(np.load(tmp_path / f"{method}-{form}.npy") - probabilities).max() < 1e-6
