from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.backbones import build_backbone
from models.blocks import divide_into_blocks, list_blocks
from models.freezing import set_trainable
from models.levels import add_levels, find_levels
from models.splitting import boundary_layer, split_at
from models.zoo import BACKBONES
from tests.models.spread import every


def images(model: Any) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:])).astype("float32")


@pytest.mark.parametrize(
    "name", every(("vgg16", "resnet50", "inception_v3", "nasnet_mobile", "convnext_tiny", "lenet5", "efficientnet_b0"))
)
def test_the_halves_make_the_whole(name: str) -> None:
    backbone = BACKBONES[name]
    model = build_backbone(backbone, weights="none", image_size=max(48, backbone.family.min_size))
    total = len(divide_into_blocks(model))
    wanted = np.asarray(model(images(model)))
    for count in sorted({1, total // 2, total - 1}):
        lower, upper = split_at(model, count)
        assert len(lower.outputs) == len(upper.inputs) == 1
        assert lower.output_shape == upper.input_shape and upper.output_shape == model.output_shape
        np.testing.assert_array_equal(upper(lower(images(model))), wanted)
        shared = {id(variable) for variable in model.variables}
        assert {id(variable) for half in (lower, upper) for variable in half.variables} <= shared


@pytest.mark.parametrize("name", ["resnet50", "nasnet_mobile", "convnext_tiny"])
def test_the_upper_half_trains_what_is_above_the_boundary(name: str) -> None:
    model = build_backbone(BACKBONES[name], weights="none", image_size=32)
    set_trainable(model, 2)
    lower, upper = split_at(model, 2)
    trained = {id(variable) for variable in model.trainable_variables}
    assert {id(variable) for variable in upper.trainable_variables} == trained
    assert lower.trainable_variables == []


def test_boundary_is_named_after_the_block_below() -> None:
    model = build_backbone(BACKBONES["resnet50"], weights="none", image_size=32)
    assert boundary_layer(model, 3) == boundary_layer(model, "conv5") == "conv4_block6"
    assert split_at(model, "conv5")[0].output_shape == (None, 2, 2, 1024)


def test_names_of_boundaries_do_not_count_what_was_built_before() -> None:
    first, second = (build_backbone(BACKBONES["xception"], weights="none", image_size=71) for _ in range(2))
    places = range(1, len(divide_into_blocks(first)))
    assert [boundary_layer(first, count) for count in places] == [boundary_layer(second, count) for count in places]
    assert len({boundary_layer(first, count) for count in places}) == len(places)


@pytest.mark.parametrize("name", ["small_cnn", "mobilenet_v2_0.35", "resnet50_v2"])
def test_levels_below_the_boundary_cross_it_as_averages(name: str) -> None:
    backbone = BACKBONES[name]
    plain = build_backbone(backbone, weights="none", image_size=32)
    model = add_levels(plain)
    assert [block.name for block in list_blocks(model)] == [block.name for block in list_blocks(plain)]
    lower, upper = split_at(model, 2)
    np.testing.assert_allclose(upper(lower(images(model))), model(images(model)), rtol=1e-4, atol=1e-5)
    # One map, flattened, and a vector for each level below it: no map of a level crosses.
    boundary, _ = split_at(plain, 2)
    names = {layer for block in list_blocks(plain)[:-2] for layer in block.layers}
    below = [int(level.output.shape[-1]) for level in find_levels(plain) if level.name in names]
    assert below
    assert lower.output_shape == (None, int(np.prod(boundary.output_shape[1:])) + sum(below))


@pytest.mark.parametrize("spec", [0, "all", 3, "block1"])
def test_there_is_no_cut_at_the_ends(spec: int | str) -> None:
    model = build_backbone(BACKBONES["small_cnn"], weights="none")
    with pytest.raises(ValueError, match="one side"):
        split_at(model, spec)


def test_halves_save_and_load(tmp_path: Any) -> None:
    import keras

    model = build_backbone(BACKBONES["nasnet_mobile"], weights="none", image_size=32)
    lower, upper = split_at(model, 3)
    for half in (lower, upper):
        half.save(tmp_path / f"{half.name}.keras")
    lower, upper = (keras.models.load_model(tmp_path / f"{name}.keras") for name in ("lower", "upper"))
    np.testing.assert_array_equal(upper(lower(images(model))), model(images(model)))
