"""Loading the model of a run: one file, or a shared backbone and a head."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import UserError
from pipelines.runs.layout import HEAD_FILE, MODEL_FILE
from pipelines.runs.manifest import BackboneRecord
from pipelines.runs.models import load_run, save_keras, save_model
from pipelines.runs.read_manifest import write_manifest
from tests.pipelines.manifests import manifest_with


@pytest.fixture(scope="module")
def parts() -> tuple[keras.Model, keras.Model]:
    """Pixels (4, 4, 3) -> means of colours, and those -> probabilities of two classes."""
    keras.utils.set_random_seed(0)
    pixels, means = keras.Input((4, 4, 3)), keras.Input((3,))
    backbone = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(pixels))
    return backbone, keras.Model(means, keras.layers.Dense(2, activation="softmax")(means))


def member(folder: Path, parts: tuple[keras.Model, keras.Model]) -> Path:
    """A member of an ensemble whose backbone is in the ensemble's folder."""
    folder.mkdir(parents=True)
    backbone, head = parts
    backbone.save(folder.parent / "base.keras")
    head.save(folder / HEAD_FILE)
    record = BackboneRecord(name="means", weights="none", parameters=0, file="../base.keras")
    write_manifest(folder, manifest_with(backbone=record, image_size=4))
    return folder


def test_a_model_comes_back_with_its_manifest(tmp_path: Path, parts: tuple[keras.Model, keras.Model]) -> None:
    backbone, head = parts
    save_model(keras.Model(backbone.inputs[0], head(backbone.outputs[0])), tmp_path)
    write_manifest(tmp_path, manifest_with(image_size=4))
    assert sorted(path.name for path in tmp_path.iterdir()) == [MODEL_FILE, "run.json"]
    model, manifest = load_run(tmp_path)
    assert manifest == manifest_with(image_size=4)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(model(pixels), head(pixels.mean((1, 2))), rtol=1e-5)


def test_members_share_the_object_of_their_backbone(tmp_path: Path, parts: tuple[keras.Model, keras.Model]) -> None:
    folders = [member(tmp_path / name, parts) for name in ("a", "b")]
    backbones: dict[Path, keras.Model] = {}
    models = [load_run(folder, backbones)[0] for folder in folders]
    assert models[0].layers[0] is models[1].layers[0]
    assert list(backbones) == [(tmp_path / "base.keras").resolve()]
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    for model in models:
        np.testing.assert_allclose(model(pixels), parts[1](pixels.mean((1, 2))), rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 no more than a beginning"])
def test_a_model_that_cannot_be_loaded_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(content)
    write_manifest(tmp_path, manifest_with(image_size=4))
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_run(tmp_path)
    assert str(tmp_path / MODEL_FILE) in caught.value.message
    assert "\n" not in caught.value.message


def whole(size: int = 4, classes: int = 2, **layers: str) -> keras.Model:
    """Pixels -> probabilities, from a backbone, its pooling and a head, with other names of these on request."""
    pixels, inner, means = keras.Input((size, size, 3)), keras.Input((size, size, 3)), keras.Input((3,))
    backbone = keras.Model(inner, keras.layers.Rescaling(1 / 255)(inner), name=layers.get("backbone", "backbone"))
    pooling = keras.layers.GlobalAveragePooling2D(name=layers.get("pooling", "pooling"))
    head = keras.Model(means, keras.layers.Dense(classes, activation="softmax")(means), name="head")
    return keras.Model(pixels, head(pooling(backbone(pixels))))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: whole(size=6), r"maps \(None, 6, 6, 3\) to \(None, 2\), .* 4 x 4 pixels and 2 classes"),
        (lambda: whole(classes=3), r"maps \(None, 4, 4, 3\) to \(None, 3\)"),
        (lambda: whole(backbone="network"), "has no layer `backbone`"),
        (lambda: whole(pooling="means"), "has no layer `pooling`"),
    ],
    ids=["another size", "another number of classes", "another backbone", "another pooling"],
)
def test_a_model_of_another_run_is_refused(model: Callable[[], keras.Model], words: str, tmp_path: Path) -> None:
    record = BackboneRecord(name="net", weights="imagenet", parameters=7, weights_sha256="7" * 64)
    write_manifest(tmp_path, manifest_with(backbone=record, image_size=4))
    save_model(whole(), tmp_path)
    assert load_run(tmp_path)[0].output_shape == (None, 2)
    save_model(model(), tmp_path)
    with pytest.raises(UserError, match=rf"`{tmp_path / MODEL_FILE}` is not the model of its run: .*{words}") as caught:
        load_run(tmp_path)
    assert "--force" in caught.value.hint


def test_a_head_on_the_wrong_backbone_is_refused(tmp_path: Path, parts: tuple[keras.Model, keras.Model]) -> None:
    folder = member(tmp_path / "a", parts)
    features = keras.Input((5,))
    keras.Model(features, keras.layers.Dense(2, activation="softmax")(features)).save(folder / HEAD_FILE)
    with pytest.raises(UserError, match=rf"{HEAD_FILE}` does not fit `.*base.keras`"):
        load_run(folder)


def test_a_model_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, parts: tuple[keras.Model, keras.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, temporary, run = parts[0], tmp_path / "temporary", tmp_path / "run"
    temporary.mkdir()
    run.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    save_keras(model, run / "whole.keras")
    assert list(temporary.iterdir()) == []
    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="No space left"):
        save_keras(model, run / "other.keras")
    assert list(temporary.iterdir()) == []
    assert [path.name for path in run.iterdir()] == ["whole.keras"]
    assert tempfile.gettempdir() == str(temporary)
