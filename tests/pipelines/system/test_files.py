"""Atomic files: complete or as they were, readable like any other file of the user's."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from pipelines.system.files import atomic, exchange, write_csv, write_json


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_a_full_disk_names_the_file_that_was_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic(tmp_path / "file"):
        Path("/dev/full").write_bytes(b"x")  # answers every write as a full disk does
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_is_there_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic(path, suffix=".keras") as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent
        assert temporary.suffix == ".keras"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_has_the_rights_that_open_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with open(tmp_path / "plain", "w", encoding="utf-8"):
            pass
        write_json(tmp_path / "atomic", {})
    finally:
        after = os.umask(before)
    assert after == mask
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert rights[0] == rights[1]


def test_json_keeps_stray_bytes_of_names_in_ascii(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff caf\xc3\xa9\n")
    write_json(tmp_path / "file.json", {"name": name})
    content = (tmp_path / "file.json").read_bytes()
    assert content.isascii()
    assert content.endswith(b"}\n")
    assert json.loads(content) == {"name": name}


def test_csv_keeps_stray_bytes_of_names(tmp_path: Path) -> None:
    rows = [(os.fsdecode(b"\xff.jpg"), 1), ('a "b",\nc', 2)]
    write_csv(tmp_path / "file.csv", ("path", "label"), iter(rows))
    content = (tmp_path / "file.csv").read_bytes()
    assert b"\xff.jpg,1" in content
    with open(tmp_path / "file.csv", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        assert list(csv.reader(stream)) == [["path", "label"], [rows[0][0], "1"], [rows[1][0], "2"]]


def test_two_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("the file system cannot exchange names")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["a"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "nothing")
