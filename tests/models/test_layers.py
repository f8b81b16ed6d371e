from __future__ import annotations

from typing import Any

import pytest

from models.backbones import build_with_top
from models.layers import LayerFacts, list_layers
from models.zoo import BACKBONES


def rows_of(model: Any) -> dict[str, LayerFacts]:
    return {row.name: row for row in list_layers(model)}


@pytest.fixture(scope="module")
def vgg16() -> tuple[LayerFacts, ...]:
    return list_layers(build_with_top(BACKBONES["vgg16"]))


def test_vgg16_weights_are_those_of_the_lecture(vgg16: tuple[LayerFacts, ...]) -> None:
    kernels = [row.weights for row in vgg16 if row.type == "Conv2D"]
    assert kernels == [
        *(1_728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824),
        *(1_179_648, 2_359_296, 2_359_296, 2_359_296, 2_359_296, 2_359_296),
    ]
    assert [row.weights for row in vgg16 if row.type == "Dense"] == [102_760_448, 16_777_216, 4_096_000]
    assert sum(row.parameters for row in vgg16) == 138_357_544


def test_vgg16_receptive_fields_are_those_of_the_lecture(vgg16: tuple[LayerFacts, ...]) -> None:
    sliding = [row for row in vgg16 if row.type in ("Conv2D", "MaxPooling2D")]
    fields = [row.receptive_field for row in sliding]
    sides = [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]
    assert fields == [(side, side) for side in sides]
    assert sliding[-1].jump == (32, 32)
    assert [row.receptive_field for row in vgg16[-4:]] == [None] * 4


def test_vgg16_memory(vgg16: tuple[LayerFacts, ...]) -> None:
    first = next(row for row in vgg16 if row.name == "block1_conv1")
    assert (first.shape, first.activation_bytes) == ((224, 224, 64), 224 * 224 * 64 * 4)
    assert next(row.activation_bytes for row in vgg16 if row.name == "fc1") == 4096 * 4


def test_resnet50_receptive_field_goes_through_its_branches() -> None:
    rows = rows_of(build_with_top(BACKBONES["resnet50"]))
    assert rows["conv1_conv"].receptive_field == (7, 7)
    assert rows["pool1_pool"].receptive_field == (11, 11)
    assert rows["conv2_block1_0_conv"].receptive_field == (11, 11)  # the shortcut sees less than its branch
    assert rows["conv2_block1_out"].receptive_field == (19, 19)
    assert rows["conv5_block3_out"].receptive_field == (483, 483)


def test_windows_that_are_not_square_dilated_or_nested() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((64, 64, 3))
    x = layers.Conv2D(2, (1, 7), name="wide")(inputs)
    x = layers.Conv2D(2, 3, dilation_rate=2, name="dilated")(x)
    stem = keras.Sequential([layers.Conv2D(2, 2, 2, name="halved"), layers.ReLU(name="relu")], name="nested")
    x = layers.AveragePooling2D(3, 2, name="pool")(stem(x))
    rows = rows_of(keras.Model(inputs, layers.SeparableConv2D(2, 3, name="separable")(x)))
    assert rows["wide"].receptive_field == (1, 7)
    assert rows["dilated"].receptive_field == (5, 11)
    assert (rows["halved"].receptive_field, rows["halved"].jump) == ((6, 12), (2, 2))
    assert (rows["pool"].receptive_field, rows["pool"].jump) == ((10, 16), (4, 4))
    assert rows["separable"].receptive_field == (18, 24)
    assert "nested" not in rows


def test_a_gate_over_the_whole_image_keeps_the_grid_of_the_map() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    maps = layers.Conv2D(4, 3, 2, padding="same", name="maps")(inputs)
    gate = layers.Dense(4)(layers.GlobalAveragePooling2D(keepdims=True)(maps))
    rows = rows_of(keras.Model(inputs, layers.MaxPooling2D(name="pool")(layers.Multiply(name="gated")([maps, gate]))))
    assert rows["maps"].receptive_field == (3, 3)
    assert rows["gated"].receptive_field is None and rows["pool"].shape == (8, 8, 4)


def test_local_response_normalisation_has_a_row_between_its_convolution_and_pool(no_random_numbers: None) -> None:
    rows = rows_of(build_with_top(BACKBONES["alexnet"]))
    norm = rows["block1_response_norm"]
    assert (norm.shape, norm.parameters, norm.activation_bytes) == ((55, 55, 96), 0, 55 * 55 * 96 * 4)
    assert (norm.receptive_field, norm.jump) == ((11, 11), (4, 4))
    names = list(rows)
    assert names.index("block1_conv") < names.index("block1_response_norm") < names.index("block1_pool")


@pytest.mark.parametrize("name", ["convnext_tiny", "mobilenet_v3_small", "inception_v3", "nasnet_mobile", "lenet5"])
def test_every_parameter_is_in_one_row(name: str, no_random_numbers: None) -> None:
    model = build_with_top(BACKBONES[name])
    assert sum(row.parameters for row in list_layers(model)) == model.count_params()
