"""Files that are damaged, foreign or made to harm: each is named, and none is run."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import pytest

from models.errors import UserError
from models.model_file import read_model

Config = dict[str, Any]  # plain JSON


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A `.keras` file: an input, a layer with an activation of its own, a dense layer."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Sequential(
        [keras.Input((3,)), keras.layers.Activation("relu", name="act"), keras.layers.Dense(2, name="dense")]
    ).save(path)
    return path.read_bytes()


def members(content: bytes) -> dict[str, bytes]:
    """The files in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_layer(content: bytes, layer: Config) -> bytes:
    """The same archive, with another layer in the place of the activation."""
    files = members(content)
    config = json.loads(files["config.json"])
    layers = config["config"]["layers"]
    (place,) = [number for number, old in enumerate(layers) if old["config"].get("name") == "act"]
    layers[place] = layer
    return packed(files | {"config.json": json.dumps(config).encode()})


def refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_model(path, "get another")
    assert caught.value.hint == "get another"
    assert "\n" not in caught.value.message and f"`{path}`" in caught.value.message
    assert len(caught.value.message) < 250 + 2 * len(str(path))
    return caught.value


def test_a_whole_file_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    assert read_model(tmp_path / "model.keras", "").output_shape == (None, 2)


def test_one_flipped_byte_of_the_weights_is_seen(tmp_path: Path, content: bytes) -> None:
    kernel = next(data for name, data in members(content).items() if name.endswith(".h5"))
    place = content.index(kernel) + len(kernel) // 2
    (tmp_path / "model.keras").write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert "cannot be loaded: Bad CRC-32" in refusal(tmp_path / "model.keras").message


@pytest.mark.parametrize("length", [0, 10, 1000, -1, -30])
def test_a_file_that_was_cut_short_is_named(tmp_path: Path, content: bytes, length: int) -> None:
    (tmp_path / "model.keras").write_bytes(content[:length])
    refusal(tmp_path / "model.keras")


def written_by(marker: Path) -> str:
    """A Python expression that leaves a file behind where it is run."""
    return f"__import__('pathlib').Path({str(marker)!r}).touch()"


HARMFUL: dict[str, Callable[[Path], Config]] = {
    "a lambda": lambda marker: {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {
            "name": "act",
            "function": {
                "class_name": "__lambda__",
                "config": {"code": written_by(marker), "defaults": None, "closure": None},
            },
        },
        "registered_name": None,
    },
    "a function of the system": lambda marker: {
        "module": "os",
        "class_name": "system",
        "config": f"touch {marker}",
        "registered_name": "system",
    },
    "a foreign class": lambda marker: {
        "module": "antigravity",
        "class_name": "Layer",
        "config": {"name": "act"},
        "registered_name": "antigravity>Layer",
    },
    "a wrapped PyTorch module": lambda marker: {
        "module": "keras.layers",
        "class_name": "TorchModuleWrapper",
        "config": {"name": "act", "module": "gASVAAAAAAAAAA=="},
        "registered_name": None,
    },
    "a SavedModel": lambda marker: {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"name": "act", "filepath": str(marker.parent), "call_endpoint": "serve"},
        "registered_name": None,
    },
    "a layer that does not exist": lambda marker: {
        "module": "keras.layers",
        "class_name": "Hyperdense",
        "config": {"name": "act"},
        "registered_name": None,
    },
    "a negative size": lambda marker: {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": "act", "units": -3},
        "registered_name": None,
    },
}


@pytest.mark.parametrize("layer", HARMFUL.values(), ids=HARMFUL)
def test_a_layer_that_needs_code_or_makes_no_sense_is_refused_and_nothing_runs(
    layer: Callable[[Path], Config], tmp_path: Path, content: bytes
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "model.keras").write_bytes(with_layer(content, layer(marker)))
    assert "cannot be loaded" in refusal(tmp_path / "model.keras").message
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_a_member_that_expands_beyond_measure_is_refused(tmp_path: Path, content: bytes) -> None:
    files = members(content)
    (weights,) = [name for name in files if name.endswith(".h5")]
    bomb = packed(files | {weights: files[weights] + bytes(200_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1_000_000
    (tmp_path / "model.keras").write_bytes(bomb)
    assert f"its {len(bomb):,} bytes unpack to 200,0" in refusal(tmp_path / "model.keras").message
    (tmp_path / "model.keras").write_bytes(packed(files, zipfile.ZIP_DEFLATED))  # compressed, as others may write it
    assert read_model(tmp_path / "model.keras", "").output_shape == (None, 2)


def test_members_do_not_leave_the_archive(tmp_path: Path, content: bytes) -> None:
    outside = tmp_path / "folder" / "run"
    outside.mkdir(parents=True)
    files = members(content) | {"../../outside": b"x", "assets/../../outside": b"x", str(tmp_path / "absolute"): b"x"}
    (outside / "model.keras").write_bytes(packed(files))
    with suppress(UserError):
        read_model(outside / "model.keras", "")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "model.keras", "run"]


def test_what_is_not_a_file_or_closed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not exist" in refusal(tmp_path / "nothing.keras").message
    (tmp_path / "folder.keras").mkdir()
    assert "is not a file" in refusal(tmp_path / "folder.keras").message
    os.mkfifo(tmp_path / "pipe.keras")
    assert "is not a file" in refusal(tmp_path / "pipe.keras").message
    (tmp_path / "closed.keras").touch()

    def closed(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", closed)  # root may open anything
    assert "cannot be read: permission denied" in refusal(tmp_path / "closed.keras").message
