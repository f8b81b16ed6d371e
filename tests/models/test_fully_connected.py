"""Backbones that end in a fully connected layer, against the layers of Keras' own networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.blocks import list_blocks
from models.errors import UserError
from models.freezing import freeze
from models.keras_private import DOWNLOAD_FUNCTION
from models.weights import weights_file
from models.zoo import BACKBONES, Backbone

SIDE = 32  # at 224, fc6 alone has 411 MB of weights


def ending_in(name: str, layer: str) -> Backbone:
    backbone = BACKBONES[name]
    return replace(backbone, cut=backbone.family.fully_connected[layer])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """VGG16 of Keras with its top and random weights, and a file of them."""
    keras.utils.set_random_seed(0)
    reference = keras.applications.VGG16(weights=None, input_shape=(SIDE, SIDE, 3))
    path = tmp_path_factory.mktemp("vgg") / "with_top.weights.h5"
    reference.save_weights(path)
    return reference, path


@pytest.mark.parametrize(("layer", "own"), [("fc6", "fc1"), ("fc7", "fc2")])
def test_features_are_those_of_the_layer_in_keras(saved: tuple[keras.Model, Path], layer: str, own: str) -> None:
    reference, path = saved
    model = build_backbone(ending_in("vgg16", layer), weights=path, image_size=SIDE)
    assert model.name == "backbone" and model.output_shape == (None, 4096)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    scaled = keras.applications.vgg16.preprocess_input(pixels.copy())
    expected = keras.Model(reference.inputs[0], reference.get_layer(own).output)(scaled)
    assert np.ptp(np.asarray(expected)) > 0
    np.testing.assert_allclose(np.asarray(model(pixels)), np.asarray(expected), rtol=1e-4, atol=1e-4)


def test_fully_connected_layers_are_blocks_of_their_own_and_frozen_with_the_rest(no_random_numbers: None) -> None:
    model = build_backbone(ending_in("vgg16", "fc7"), weights="none", image_size=SIDE)
    blocks = list_blocks(model)
    assert [block.name for block in blocks] == [*(f"block{number}" for number in range(1, 6)), "fc1", "fc2"]
    # 1 x 1 x 512 maps at 32 pixels.
    assert [block.parameters for block in blocks[-2:]] == [512 * 4096 + 4096, 4096 * 4096 + 4096]
    freeze(model)
    assert not model.trainable_weights


def test_alexnet_ends_in_its_sixth_layer_or_its_seventh(no_random_numbers: None) -> None:
    sixth = build_backbone(ending_in("alexnet", "fc6"), weights="none", image_size=67)
    seventh = build_backbone(ending_in("alexnet", "fc7"), weights="none", image_size=67)
    assert sixth.output_shape == seventh.output_shape == (None, 4096)
    assert seventh.count_params() - sixth.count_params() == 4096 * 4096 + 4096
    assert seventh.count_params() == build_backbone(BACKBONES["alexnet"], weights="none", image_size=67).count_params()


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_weights_are_those_with_the_top_that_keras_asks_for(
    name: str, no_random_numbers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def get_file(fname: str, origin: str, cache_subdir: str, file_hash: str | None = None) -> str:
        asked.append(fname)
        raise OSError("asked")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(DOWNLOAD_FUNCTION, get_file)
    backbone = ending_in(name, "fc6")
    with pytest.raises(UserError, match="the download failed: asked"):
        build_backbone(backbone)
    assert asked == [weights_file(backbone).name] and "notop" not in asked[0]
    assert "notop" in weights_file(BACKBONES[name]).name


def test_weights_without_the_top_do_not_fit_and_the_hint_says_why(no_random_numbers: None, tmp_path: Path) -> None:
    path = tmp_path / "without_top.weights.h5"
    keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)).save_weights(path)
    with pytest.raises(UserError, match="does not fit") as caught:
        build_backbone(ending_in("vgg16", "fc6"), weights=path, image_size=SIDE)
    assert "with its top" in caught.value.hint
