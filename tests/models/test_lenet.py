"""The LeNets against the figures and tables of LeCun et al. (1998)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.backbones import build_backbone
from models.keras_private import producer_inputs
from models.zoo import BACKBONES


def build(name: str) -> Any:
    return build_backbone(BACKBONES[name], weights="none")


def shapes(model: Any, *names: str) -> list[tuple[int, ...]]:
    return [model.get_layer(name).output.shape[1:] for name in names]


def parameters(model: Any, *names: str) -> list[int]:
    return [model.get_layer(name).count_params() for name in names]


def test_lenet4_has_the_layers_of_1998_and_about_as_many_connections() -> None:
    model = build("lenet4")
    names = ("block1_c1", "block1_s2_gain", "block2_c3", "block2_s4_gain", "block3_f5")
    assert shapes(model, *names) == [(28, 28, 4), (14, 14, 8), (10, 10, 16), (5, 5, 16), (120,)]
    partial = parameters(model, *(f"block2_c3_{number:02d}" for number in range(16)))
    assert parameters(model, *(name for name in names if name != "block2_c3")) == [104, 16, 32, 48_120]
    assert partial == [3 * 25 + 1] * 16 and model.count_params() == 104 + 16 + 16 * 76 + 32 + 48_120
    # As the paper counts them for LeNet-5: 340,908 there, "about 260,000" here. Subsampling has 4 inputs and a bias.
    connections = 28 * 28 * 4 * 26 + 14 * 14 * 8 * 5 + 10 * 10 * sum(partial) + 5 * 5 * 16 * 5 + 48_120 + 10 * 121
    assert math.isclose(connections, 260_000, rel_tol=0.01)


def test_each_map_of_c1_feeds_a_pair_of_s2_and_each_of_s2_six_of_c3_in_lenet4() -> None:
    import keras

    model = build("lenet4")
    pooled = model.get_layer("block1_s2_pool")
    repeated = keras.Model(producer_inputs(pooled.input)[0], pooled.output)
    numbered = np.broadcast_to(np.arange(4, dtype="float32"), (1, 28, 28, 4))
    assert np.asarray(repeated(numbered))[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    kernels = [model.get_layer(f"block2_c3_{number:02d}").input for number in range(16)]
    seen = maps_that_reach(kernels, 8)
    assert len(seen) == 16 and [sum(number in group for group in seen) for number in range(8)] == [6] * 8


def maps_that_reach(kernels: list[Any], count: int) -> set[tuple[int, ...]]:
    """Numbers of the maps that each kernel sees: maps that hold their own number show it."""
    import keras

    [subsampled] = producer_inputs(kernels[0])
    numbered = np.broadcast_to(np.arange(count, dtype="float32"), (1, *subsampled.shape[1:]))
    reached = keras.Model(subsampled, kernels)(numbered)
    return {tuple(np.asarray(maps)[0, 0, 0].astype(int).tolist()) for maps in reached}


def test_lenet5_is_the_one_of_1998() -> None:
    model = build("lenet5")
    names = ("block1_c1", "block1_s2_gain", "block2_c3", "block2_s4_gain", "block3_c5", "block4_f6")
    assert shapes(model, *names) == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120), (84,)]
    assert parameters(model, *(name for name in names if name != "block2_c3")) == [156, 12, 32, 48_120, 10_164]
    partial = parameters(model, *(f"block2_c3_{number:02d}" for number in range(16)))
    # Table I: six maps see three maps, nine see four, one sees all six.
    assert partial == [76] * 6 + [101] * 9 + [151] and sum(partial) == 1_516
    assert model.count_params() == 60_000


def test_lenet5_connects_c3_as_in_table_1() -> None:
    model = build("lenet5")
    seen = maps_that_reach([model.get_layer(f"block2_c3_{number:02d}").input for number in range(16)], 6)
    assert len(seen) == 16
    counts = [sum(number in group for group in seen) for number in range(6)]
    assert counts == [10] * 6  # each map of S2 feeds ten of C3


def test_lenet5_sees_grey_with_white_below_zero() -> None:
    import keras

    model = build("lenet5")
    scaled = keras.Model(model.inputs[0], model.get_layer("scaling").output)
    ends = scaled(np.stack([np.zeros((32, 32, 3)), np.full((32, 32, 3), 255.0)]).astype("float32"))
    np.testing.assert_allclose(np.asarray(ends)[:, 0, 0, 0], [1.175, -0.1], atol=1e-3)
