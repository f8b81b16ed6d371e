"""The copy of a TensorFlow dataset: complete with its description, found by version, named files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.tfds_files import DESCRIPTION, Description, copied_images, copy_folder, newest_copy

FACTS = Description(class_names=["b", "a"], parts=["train"], remarks=[], prepared="/data")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path


def copy(name: str, version: str, *, complete: bool = True) -> Path:
    folder = copy_folder(name) / version
    folder.mkdir(parents=True)
    if complete:
        (folder / DESCRIPTION).write_bytes(FACTS.to_json())
    return folder


def test_the_newest_complete_copy_is_found() -> None:
    copy("flowers", "1.9.0")
    newest = copy("flowers", "1.10.0")
    copy("flowers", "2.0.0", complete=False)
    copy("flowers/large", "3.0.0")
    assert newest_copy("flowers", None) == newest
    assert newest_copy("flowers", "1.9.0") == copy_folder("flowers") / "1.9.0"
    assert newest_copy("flowers", "2.0.0") is None
    assert newest_copy("birds", None) is None


def test_a_description_comes_back_as_it_was() -> None:
    folder = copy("flowers", "1.0.0")
    assert Description.of_copy(folder) == FACTS
    assert list(json.loads((folder / DESCRIPTION).read_bytes())) == ["class_names", "parts", "remarks", "prepared"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"class_names": 1, "parts": [], "remarks": []}', b"\xff"])
def test_a_damaged_description_is_named(content: bytes) -> None:
    folder = copy("flowers", "1.0.0")
    (folder / DESCRIPTION).write_bytes(content)
    with pytest.raises(UserError, match="is damaged") as caught:
        Description.of_copy(folder)
    assert str(folder / DESCRIPTION) in caught.value.message
    assert caught.value.hint


def test_number_and_label_are_in_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "0000").mkdir()
    for name in ("00000012-3.img", "00000002-10.img", "00000002-10.img.1.2.part"):
        (tmp_path / "0000" / name).write_bytes(b"")
    assert sorted(copied_images(tmp_path)) == [
        (2, 10, tmp_path / "0000/00000002-10.img"),
        (12, 3, tmp_path / "0000/00000012-3.img"),
    ]
