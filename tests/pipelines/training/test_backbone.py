"""Where a backbone comes from, and when it is built."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NoReturn

import h5py
import keras
import numpy as np
import pytest

from models.errors import UserError
from models.zoo import BACKBONES
from pipelines.runs.layout import HEAD_FILE, MODEL_FILE
from pipelines.runs.manifest import BackboneRecord
from pipelines.runs.read_manifest import write_manifest
from pipelines.runs.spec import ConvSpec, NetworkSpec, Pooling
from pipelines.training.backbone import BackboneSource, LazyBackbone, find_backbone
from tests.pipelines.manifests import manifest_with


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file in the place of weights."""
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n weights")
    return path


def find(
    name: str, weights: str, image_size: int | None = None, pooling: Pooling = "avg", **conv: Any
) -> BackboneSource:
    network = NetworkSpec(backbone=name, weights=weights, image_size=image_size)
    return find_backbone(network, ConvSpec(**conv), pooling)


@pytest.fixture
def never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """No backbone may be built."""

    def build(*_: object) -> NoReturn:
        raise AssertionError("a backbone is built")

    monkeypatch.setattr(BackboneSource, "build", build)


def test_a_name_of_the_table_is_found_with_its_weights(weights: Path) -> None:
    random = find("vgg16", "none")
    assert (random.backbone, random.weights, random.is_untrained) == (BACKBONES["vgg16"], "none", True)
    given = find("vgg16", str(weights))
    assert (given.backbone, given.weights, given.is_untrained) == (BACKBONES["vgg16"], str(weights), False)
    assert given.weights_path(None) == weights


def test_a_network_without_published_weights_is_untrained() -> None:
    assert not BACKBONES["small_cnn"].has_published_weights
    assert find("small_cnn", "imagenet").is_untrained


def test_a_small_network_is_built_by_the_filters_in_its_name() -> None:
    source = find("conv:2,3", "imagenet", 20, kernel=3, activation="tanh", dense="7", channels=3)
    assert source.is_untrained and source.name == "conv:2,3"
    assert source.backbone is not None and source.backbone.image_size == 20
    model = source.build(20)
    kernels = [weight.shape for weight in model.weights if len(weight.shape) > 1]
    assert kernels == [(3, 3, 3, 2), (3, 3, 2, 3), (3 * 3 * 3, 7)]
    with pytest.raises(UserError, match="leaves nothing of 17 x 17"):
        find("conv:8,8,8", "imagenet", 17)
    with pytest.raises(UserError, match="--dense `7,`"):
        find("conv:8", "imagenet", dense="7,")


def test_a_fully_connected_layer_ends_the_network_that_has_it(tmp_path: Path) -> None:
    source = find("vgg16", "none", 32, "fc7")
    assert source.backbone is not None and source.backbone.cut == "fc2"
    for name in ("resnet50", "conv:10,20", "small_cnn"):
        with pytest.raises(UserError, match="has no layer `fc6`"):
            find(name, "none", None, "fc6")
    (tmp_path / "net.keras").touch()
    with pytest.raises(UserError, match="networks of the table"):
        find(str(tmp_path / "net.keras"), "imagenet", None, "fc6")
    with pytest.raises(UserError, match="for pictures of 224 pixels, not 64"):
        find("vgg16", "imagenet", 64, "fc6")


def test_a_run_and_a_file_are_backbones(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / MODEL_FILE).touch()
    write_manifest(run, manifest_with())
    assert find(str(run), "imagenet") == BackboneSource(name=str(run), backbone=None, weights=str(run / MODEL_FILE))
    (tmp_path / "net.keras").touch()
    source = find(str(tmp_path / "net.keras"), "imagenet")
    assert (source.backbone, source.weights, source.is_untrained) == (None, str(tmp_path / "net.keras"), False)


def test_a_member_is_a_backbone_by_the_file_that_it_shares(tmp_path: Path) -> None:
    member = tmp_path / "members" / "a"
    member.mkdir(parents=True)
    (member / HEAD_FILE).touch()
    (tmp_path / "base.keras").touch()
    record = BackboneRecord(name="net", weights="none", parameters=0, file="../../base.keras")
    write_manifest(member, manifest_with(backbone=record))
    assert Path(find(str(member), "imagenet").weights).resolve() == (tmp_path / "base.keras").resolve()


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        ("vgg61", "none", "unknown backbone: `vgg61`"),
        ("vgg16", "nowhere.h5", "no weights file `nowhere.h5`"),
        ("runs/nothing", "imagenet", "no backbone at `runs/nothing`"),
        ("nothing.keras", "imagenet", "no backbone at `nothing.keras`"),
        ("{folder}", "imagenet", "is not a run"),
        ("{folder}/net.h5", "imagenet", "is not a `.keras` file"),
        ("{folder}/net.keras", "none", "does not go with a backbone of your own"),
    ],
)
def test_a_backbone_that_cannot_be_found_is_named(name: str, weights: str, words: str, tmp_path: Path) -> None:
    for file in ("net.h5", "net.keras"):
        (tmp_path / file).touch()
    with pytest.raises(UserError) as caught:
        find(name.format(folder=tmp_path), weights)
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.usefixtures("never_built")
def test_the_key_of_features_needs_no_model_where_the_weights_are_there(weights: Path) -> None:
    source = find("vgg16", str(weights))
    backbone = LazyBackbone(source, network=NetworkSpec(), pooling="max")
    assert backbone.image_size == BACKBONES["vgg16"].image_size
    key = backbone.base()
    assert (key.backbone, key.image_size, key.pooling) == ("vgg16", 224, "max")
    assert key.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert LazyBackbone(source, network=NetworkSpec(image_size=96), pooling="avg").base().image_size == 96


def test_a_file_tells_its_own_image_size(tmp_path: Path) -> None:
    pixels = keras.Input((24, 24, 3))
    features = keras.layers.Conv2D(4, 3, name="conv")(pixels)
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features))
    keras.Model(pixels, outputs).save(tmp_path / "net.keras")
    backbone = LazyBackbone(find(str(tmp_path / "net.keras"), "imagenet"), network=NetworkSpec(), pooling="avg")
    assert backbone.image_size == 24
    assert not backbone.model.trainable_weights
    record = backbone.record()
    assert record.parameters == 4 * 3 * 3 * 3 + 4
    assert record.weights_sha256 == hashlib.sha256((tmp_path / "net.keras").read_bytes()).hexdigest()
    assert np.asarray(backbone.model(np.zeros((1, 24, 24, 3), np.float32))).shape[-1] == 4


@pytest.mark.usefixtures("never_built")
@pytest.mark.parametrize(("size", "file_of"), [(None, 224), (96, 96), (100, 224)])
def test_weights_are_those_that_keras_takes_for_the_size(
    size: int | None, file_of: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    models = tmp_path / "models"
    models.mkdir()
    for side in (96, 224):
        with h5py.File(models / f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{side}_no_top.h5", "w") as file:
            file["side"] = side
    (wanted,) = models.glob(f"*_{file_of}_no_top.h5")
    source = find("mobilenet_v2", "imagenet", size)
    base = LazyBackbone(source, network=NetworkSpec(image_size=size), pooling="avg").base()
    assert base.weights_sha256 == hashlib.sha256(wanted.read_bytes()).hexdigest()

    # Nothing else is needed for this size, and without it nothing is promised.
    wanted.unlink()
    monkeypatch.setattr("models.weights._unreachable", lambda host: True)
    with pytest.raises(UserError, match=wanted.name):
        find("mobilenet_v2", "imagenet", size)


def test_levels_are_a_frozen_vector_under_a_key_of_their_own(tmp_path: Path) -> None:
    pixels = keras.Input((24, 24, 3))
    lower = keras.layers.ReLU()(keras.layers.Conv2D(5, 3)(pixels))
    upper = keras.layers.ReLU()(keras.layers.Conv2D(4, 3)(lower))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(upper))
    keras.Model(pixels, outputs).save(tmp_path / "net.keras")
    source = find(str(tmp_path / "net.keras"), "imagenet")
    last, levels = (
        LazyBackbone(source, network=NetworkSpec(), pooling="avg", features=features) for features in ("last", "levels")
    )
    assert levels.model.output_shape == (None, 4 + 5)
    assert not levels.model.trainable_weights
    assert last.model.output_shape[-1] == 4
    assert levels.base().features == "levels"
    assert levels.base().folder != last.base().folder
    assert levels.record() == last.record()
