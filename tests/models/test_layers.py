from __future__ import annotations

from typing import Any

import numpy as np
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


def test_vgg16_windows_and_filters_are_those_of_its_paper(vgg16: tuple[LayerFacts, ...]) -> None:
    # Simonyan and Zisserman (2015), table 1, column D: 3 x 3 kernels, stride 1, padding 1; pools of 2, stride 2.
    convolutions = [row for row in vgg16 if row.type == "Conv2D"]
    assert {(row.support, row.stride, row.pad, row.dilation) for row in convolutions} == {
        ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    }
    assert [row.filters for row in convolutions] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [row.filter_depth for row in convolutions] == [3, 64, 64, 128, 128, *[256] * 3, *[512] * 5]
    pools = [row for row in vgg16 if row.type == "MaxPooling2D"]
    assert {(row.support, row.stride, row.pad, row.filters) for row in pools} == {((2, 2), (2, 2), (0, 0, 0, 0), None)}
    # Centres by hand: a pool of 2 moves the centre by half of the distance between its inputs.
    assert [row.offset for row in pools] == [(side, side) for side in (1.5, 2.5, 4.5, 8.5, 16.5)]
    dense = [(row.filter_depth, row.filters, row.support) for row in vgg16 if row.type == "Dense"]
    assert dense == [(25_088, 4_096, None), (4_096, 4_096, None), (4_096, 1_000, None)]
    assert sum(row.parameter_bytes for row in vgg16) == 4 * 138_357_544


def test_alexnet_rows_are_those_worked_out_by_hand(no_random_numbers: None) -> None:
    # f' = f + (k - 1) j, j' = j s, centre' = centre + ((k - 1) / 2 - p) j, from f = 1, j = 1 and the centre 1.
    rows = rows_of(build_with_top(BACKBONES["alexnet"]))
    by_hand = {
        "block1_conv": (11, 4, 6.0, 3, 96),
        "block1_pool": (19, 8, 10.0, None, None),
        "block2_conv_a": (51, 8, 10.0, 48, 128),  # a kernel of the second layer sees half of the 96 maps
        "block2_pool": (67, 16, 18.0, None, None),
        "block3_conv": (99, 16, 18.0, 256, 384),
        "block4_conv_a": (131, 16, 18.0, 192, 192),
        "block5_conv_a": (163, 16, 18.0, 192, 128),
        "block5_pool": (195, 32, 34.0, None, None),
    }
    for name, (field, jump, offset, depth, filters) in by_hand.items():
        row = rows[name]
        assert (row.receptive_field, row.jump, row.offset) == ((field, field), (jump, jump), (offset, offset)), name
        assert (row.filter_depth, row.filters) == (depth, filters), name


def measured(model: Any, place: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last pixel that the output (place, place) depends on in height and in width, by its gradient."""
    import tensorflow as tf

    pixels = tf.Variable(tf.random.stateless_uniform((1, *model.input_shape[1:]), (0, 0), 200.0, 255.0))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model(pixels)[0, place, place])
    moved = np.abs(np.asarray(tape.gradient(value, pixels)))[0].sum(axis=-1)
    sides = [np.flatnonzero(moved.sum(axis=axis)) for axis in (1, 0)]
    return (int(sides[0][0]), int(sides[0][-1])), (int(sides[1][0]), int(sides[1][-1]))


def positive_network(side: int) -> Any:
    """Windows of every kind, odd and even sides, two branches; linear and positive, so that every path shows."""
    import keras
    from keras import layers

    positive: dict[str, Any] = {"kernel_initializer": "ones", "use_bias": False}
    inputs = keras.Input((side, side + 7, 1))
    x = layers.Conv2D(1, 3, 2, padding="same", **positive)(inputs)
    x = layers.Conv2D(1, (1, 5), padding="same", **positive)(x)
    x = layers.ZeroPadding2D(((0, 1), (2, 1)))(x)
    x = layers.DepthwiseConv2D(3, 2, depthwise_initializer="ones", use_bias=False)(x)
    wide = layers.Conv2D(1, 3, dilation_rate=2, padding="same", **positive)(x)
    lopsided = layers.Conv2D(1, 2, padding="same", **positive)(x)  # nothing before, one after
    x = layers.Add()([wide, lopsided])
    x = layers.Cropping2D(((1, 0), (0, 1)))(x)
    return keras.Model(inputs, layers.AveragePooling2D(2, 2, padding="same", name="last")(x))


@pytest.mark.parametrize("side", [80, 81, 82, 83])
def test_fields_and_offsets_are_those_that_gradients_measure(side: int) -> None:
    model = positive_network(side)
    row = rows_of(model)["last"]
    assert row.receptive_field is not None and row.offset is not None
    place = 4  # far from the borders, which cut a field off
    for axis, (first, last) in enumerate(measured(model, place)):
        assert last - first + 1 == row.receptive_field[axis]
        assert (first + last) / 2 + 1 == row.offset[axis] + place * row.jump[axis]


def test_the_field_of_mobilenet_is_the_one_that_gradients_measure() -> None:
    import keras

    backbone = build_with_top(BACKBONES["mobilenet_0.25"])
    model = keras.Model(backbone.inputs[0], backbone.get_layer("conv_pw_5_relu").output)
    # Small and positive: neither side of ReLU6 stops a gradient.
    model.set_weights([np.full(weight.shape, 0.05 if len(weight.shape) > 1 else 1.0) for weight in model.weights])
    row = rows_of(model)["conv_pw_5"]
    assert row.receptive_field is not None and row.offset is not None
    for axis, (first, last) in enumerate(measured(model, 13)):
        assert (last - first + 1, (first + last) / 2 + 1) == (
            row.receptive_field[axis],
            row.offset[axis] + 13 * row.jump[axis],
        )
