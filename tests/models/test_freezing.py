from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.backbones import build_backbone
from models.blocks import divide_into_blocks
from models.freezing import freeze, set_trainable
from models.keras_private import all_layers
from models.zoo import BACKBONES
from tests.models.spread import SPREAD, every


def build(name: str) -> Any:
    backbone = BACKBONES[name]
    return build_backbone(backbone, weights="none", image_size=max(32, backbone.family.min_size))


def inner_layers(operation: Any) -> list[Any]:
    import keras

    return all_layers(operation) if isinstance(operation, keras.Layer) else []


def is_norm(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.BatchNormalization)


@pytest.mark.parametrize("name", every((*SPREAD, "nasnet_mobile", "alexnet_bn")))
def test_exactly_what_is_above_the_boundary_trains(name: str, no_random_numbers: None) -> None:
    model = build(name)
    parts = divide_into_blocks(model)
    # In a network just built everything trains that can: what each layer without inner layers trains by itself.
    own = {id(layer): layer.trainable_variables for layer in inner_layers(model) if len(inner_layers(layer)) == 1}
    for count in range(len(parts) + 1):
        for train_bn in (False, True):
            set_trainable(model, count, train_bn=train_bn)
            wanted = {
                id(variable)
                for _, members in parts[len(parts) - count :]
                for operation in members
                for layer in inner_layers(operation)
                if id(layer) in own and (train_bn or not is_norm(layer))
                for variable in own[id(layer)]
            }
            assert {id(variable) for variable in model.trainable_variables} == wanted
            assert bool(wanted) == (count > 0)


def step(model: Any, images: np.ndarray[Any, Any]) -> None:
    """One step in training mode, by the sign of the gradient: it moves whatever has one, however small."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        features = model(images, training=True)
        loss = tf.reduce_sum(tf.square(features - tf.random.stateless_normal(tf.shape(features), (1, 2))))
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        variable.assign_sub(1e-3 * tf.sign(gradient))


def compare_a_step(name: str, depths: list[int]) -> None:
    model = build(name)
    images = np.random.default_rng(0).uniform(0, 255, (4, *model.input_shape[1:])).astype("float32")
    parts = divide_into_blocks(model)
    for count in depths:
        set_trainable(model, count)
        trained = {id(variable) for variable in model.trainable_variables}
        before = [np.array(variable) for variable in model.variables]
        step(model, images)
        moved = 0
        for variable, value in zip(model.variables, before, strict=True):
            if "seed" in variable.path:
                continue
            after = np.array(variable)
            assert np.isfinite(after).all(), variable.path
            if id(variable) in trained:
                moved += not np.array_equal(after, value)
            else:
                np.testing.assert_array_equal(after, value, err_msg=f"{count} of {len(parts)}: {variable.path}")
        assert moved > 0


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2_0.35", "convnext_tiny", "small_cnn", "lenet5"])
def test_a_step_moves_what_is_trained_and_no_statistic(name: str) -> None:
    total = len(divide_into_blocks(build(name)))
    compare_a_step(name, [1, total // 2, total])


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BACKBONES))
def test_a_step_at_every_depth(name: str) -> None:
    compare_a_step(name, list(range(1, len(divide_into_blocks(build(name))) + 1)))


def test_training_normalisation_moves_its_statistics() -> None:
    model = build("small_cnn")
    set_trainable(model, 1, train_bn=True)
    before = {layer.name: np.array(layer.moving_mean) for layer in model.layers if is_norm(layer)}
    step(model, np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32"))
    moved = [layer.name for layer in model.layers if is_norm(layer) and not np.array_equal(layer.moving_mean, before[layer.name])]  # fmt: skip # noqa: E501
    assert moved == ["block3_conv_norm"]


def test_freezing_inside_a_classifier_survives_training_it() -> None:
    from models.classifier import build_classifier
    from models.heads import HEADS, build_head

    backbone = build("mobilenet_v2_0.35")
    freeze(backbone)
    model = build_classifier(backbone, build_head(HEADS["mlp"], num_features=1280, num_classes=3))
    model.compile("adam", "sparse_categorical_crossentropy")
    before = [np.array(value) for value in backbone.get_weights()]
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype("float32")
    model.fit(images, np.arange(8) % 3, epochs=2, verbose=0)
    assert backbone.trainable_variables == [] and len(model.trainable_variables) > 0
    for now, then in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
