"""`headstart cache`: shows what is stored and how much, and deletes it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.app.test_main import Headstart


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with features of one base, used two days ago."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "1.5")
    base = tmp_path / "cache" / "features" / "0123456789abcdef"
    (base / "clean").mkdir(parents=True)
    (base / "base.json").write_text('{"backbone": "vgg16", "image_size": 224, "pooling": "avg"}')
    for number in range(2):
        shard = base / "clean" / f"18eaf5760f1ce991-{number}.shard"
        shard.write_bytes(bytes(1_000))
        used = time.time() - 2 * 86_400
        os.utime(shard, (used, used))
    return tmp_path / "cache"


def test_contents_are_a_table_and_the_total_a_note(headstart: Headstart, folder: Path) -> None:
    result = headstart("cache")
    lines = result.out.splitlines()
    assert lines[0].split() == ["content", "files", "size", "unused", "for"]
    assert lines[2].startswith("features of vgg16, 224 px, avg pooling: clean")
    assert lines[2].split()[-5:] == ["2", "2.0", "kB", "2.0", "days"]
    assert (
        result.err == f"`{folder}`: 2.0 kB; features and converted images take at most 1.5 GB (HEADSTART_CACHE_LIMIT)\n"
    )


def test_json_has_bytes(headstart: Headstart, folder: Path) -> None:
    result = headstart("cache", "show", "--json")
    usage = json.loads(result.out)
    assert (usage["folder"], usage["limit"]) == (str(folder), 1_500_000_000)
    (kind,) = usage["contents"]
    assert (kind["files"], kind["size"]) == (2, 2_000)
    assert result.err == ""


def test_clear_deletes_and_names_the_size(headstart: Headstart, folder: Path) -> None:
    result = headstart("cache", "clear")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"cleared `{folder}`: 2.0 kB\n"
    assert not (folder / "features").exists()


def test_an_empty_cache_prints_nothing_to_stdout(headstart: Headstart, folder: Path) -> None:
    headstart("cache", "clear", "-q")
    result = headstart("cache")
    assert result.out == ""
    assert "0 B;" in result.err
    assert json.loads(headstart("cache", "--json").out)["contents"] == []


def test_another_action_is_wrong_usage(headstart: Headstart, folder: Path) -> None:
    assert headstart("cache", "burn").code == 2
    assert (folder / "features").exists()
