"""Small networks `conv:FILTERS` against a forward pass in NumPy and parameters counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.backbones import build_backbone
from models.blocks import list_blocks
from models.conv_backbone import conv_backbone
from models.conv_network import ConvNetwork, read_counts
from models.errors import UserError

LECTURE = ConvNetwork(filters=(10, 20), dense=(50,))


def build(network: ConvNetwork, side: int | None = None) -> Any:
    return build_backbone(conv_backbone(network, side), weights="none")


def test_the_network_of_10_and_20_maps_has_the_shapes_and_parameters_of_the_lecture() -> None:
    # 28 -> 24 -> 12 -> 8 -> 4 by hand; 5 * 5 * 1 * 10 + 10, 5 * 5 * 10 * 20 + 20, 320 * 50 + 50.
    model = build(LECTURE)
    assert model.input_shape == (None, 28, 28, 3)
    names = ("scaling", "block1_conv", "block1_pool", "block2_conv", "block2_pool", "block3_dense")
    shapes = [(28, 28, 1), (24, 24, 10), (12, 12, 10), (8, 8, 20), (4, 4, 20), (50,)]
    assert [model.get_layer(name).output.shape[1:] for name in names] == shapes
    assert [(block.name, block.parameters) for block in list_blocks(model)] == [
        ("block1", 260),
        ("block2", 5_020),
        ("block3", 16_050),
    ]
    assert model.output_shape == (None, 50)


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (LECTURE, 28),
        (ConvNetwork(filters=(3,), kernel=2, channels=3), 17),
        (ConvNetwork(filters=(4, 5, 6), kernel=3, dense=(7, 8)), 31),
    ],
)
def test_the_parameters_of_the_record_are_those_of_the_built_network(network: ConvNetwork, side: int) -> None:
    backbone = conv_backbone(network, side)
    assert build(network, side).count_params() == backbone.base_parameters
    assert not backbone.has_published_weights


def forward(weights: list[np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """Features of `conv:2,3 --kernel 3 --activation tanh --dense 4 --channels 3`, loop by loop."""
    kernel1, bias1, kernel2, bias2, kernel3, bias3 = weights
    maps = pixels / 127.5 - 1
    for kernel, bias in ((kernel1, bias1), (kernel2, bias2)):
        side = maps.shape[0] - 2
        convolved = np.empty((side, side, len(bias)))
        for row in range(side):
            for column in range(side):
                window = maps[row : row + 3, column : column + 3]
                convolved[row, column] = np.einsum("hwc,hwcf->f", window, kernel) + bias
        half = side // 2
        maps = np.tanh(convolved)[: 2 * half, : 2 * half].reshape(half, 2, half, 2, -1).max(axis=(1, 3))
    return np.asarray(np.tanh(maps.ravel() @ kernel3 + bias3))


def test_features_are_those_of_a_forward_pass_in_numpy() -> None:
    model = build(ConvNetwork(filters=(2, 3), kernel=3, activation="tanh", dense=(4,), channels=3), 17)
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()]
    model.set_weights(weights)
    pixels = rng.integers(0, 256, (17, 17, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(model(pixels[None]))[0], forward(weights, pixels), rtol=1e-4, atol=1e-5)


def test_a_network_of_one_channel_sees_grey() -> None:
    model = build(ConvNetwork(filters=(2,)))
    red = np.zeros((1, 28, 28, 3), np.float32)
    red[..., 0] = 200.0
    grey = np.full_like(red, 0.2989 * 200)  # the share of red in luminance (ITU-R BT.601)
    np.testing.assert_allclose(np.asarray(model(red)), np.asarray(model(grey)), rtol=1e-3, atol=1e-4)


def test_the_smallest_side_leaves_one_value_and_a_smaller_one_is_refused() -> None:
    # Two layers of 5 x 5: 16 -> 12 -> 6 -> 2 -> 1.
    network = ConvNetwork(filters=(10, 20))
    assert build(network, 16).output_shape == (None, 20)
    with pytest.raises(UserError, match="leaves nothing of 15 x 15") as caught:
        conv_backbone(network, 15)
    assert "--image-size 16" in caught.value.hint


@pytest.mark.parametrize("text", ["", "10,", "10,x", "0", "-3", "1.5", "70000", "²", ",".join(["1"] * 65)])
def test_what_is_not_a_list_of_filters_is_an_error_with_a_hint(text: str) -> None:
    with pytest.raises(UserError, match="--backbone") as caught:
        read_counts(text, "--backbone")
    assert caught.value.hint


def test_filters_are_read_in_order() -> None:
    assert read_counts("10, 20", "--backbone") == (10, 20)
