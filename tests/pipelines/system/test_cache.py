"""The cache folder: where it is, what it holds, what is deleted first, and files that are complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.data.known_images import DecodeResult, open_known_images
from pipelines.features.shards import ShardStore, key, write_shard
from pipelines.system import cache


def keys(*names: str) -> list[bytes]:
    return [key(hashlib.sha256(name.encode()).hexdigest(), 0) for name in names]


def rows(count: int, length: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, length)).astype(np.float16)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HEADSTART_CACHE": "/somewhere", "XDG_CACHE_HOME": "/elsewhere"}, "/somewhere"),
        ({"HEADSTART_CACHE": "~/kept"}, "/home/ann/kept"),
        ({"HEADSTART_CACHE": "", "XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/headstart"),
        ({}, "/home/ann/.cache/headstart"),
    ],
)
def test_the_folder_follows_the_environment(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEADSTART_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ann", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_folder() == Path(expected)


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_CACHE", "here")
    assert cache.cache_folder() == tmp_path / "here"
    assert not (tmp_path / "here").exists()


def test_the_least_recently_used_shards_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    folder = tmp_path / "features" / "base" / "clean-float32"
    paths = [write_shard(folder, keys(name), rows(1, length=1000)) for name in "abc"]
    for age, path in enumerate(paths):
        os.utime(path, (1000 + age, 1000 + age))
    store = ShardStore(folder)
    store.touch(keys("a"))  # the oldest is used now
    size = paths[0].stat().st_size
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", str(2 * size / 1e9))
    assert cache.evict_features() == size
    assert [path.exists() for path in paths] == [True, False, True]


def test_features_below_the_limit_stay(folder: Path) -> None:
    path = write_shard(folder / "features" / "base" / "clean-float32", keys("a"), rows(1))
    assert cache.evict_features() == 0
    assert path.exists()


@pytest.mark.parametrize("text", ["", "0", "-3", "lots", "nan", "inf"])
def test_a_limit_that_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", text)
    if not text:
        assert cache.cache_limit() == 20e9
        return
    with pytest.raises(UserError, match="HEADSTART_CACHE_LIMIT"):
        cache.cache_limit()


def test_clearing_removes_what_was_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    path = write_shard(tmp_path / "features" / "base" / "clean-float32", keys("a"), rows(1))
    size = path.stat().st_size
    contents = cache.cache_usage()
    assert [(usage.name, usage.files, usage.size) for usage in contents] == [("features base: clean-float32", 1, size)]
    assert cache.clear_cache() == size
    assert cache.cache_usage() == []


def test_every_content_is_listed_by_size_and_cleared(folder: Path) -> None:
    base = folder / "features" / "0123abcd"
    write_shard(base / "light-float32", keys("a", "b"), rows(2, length=2000))
    (base / "base.json").write_text(json.dumps({"backbone": "vgg16", "image_size": 96, "pooling": "avg"}))
    for name, size in (("transcoded", 5_000), ("tfds", 90_000), ("boundaries", 300)):
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "deep" / "file").write_bytes(b"x" * size)
    os.utime(folder / "tfds" / "deep" / "file", (2000, 1000))
    with open_known_images("versions") as known_images:
        known_images.add([DecodeResult(sha256="00" * 32, reason=None, transcoded=False)])
    (folder / "ledger.sqlite-journal").write_bytes(b"")

    usage = {content.name: content for content in cache.cache_usage()}
    assert next(iter(usage)) == "tfds"
    assert set(usage) >= {"tfds", "transcoded", "boundaries", "ledger.sqlite"}
    assert "features of vgg16, 96 px, avg pooling: light-float32" in usage
    assert (usage["tfds"].files, usage["tfds"].size, usage["tfds"].used) == (1, 90_000, 1000.0)
    assert cache.clear_cache() == sum(content.size for content in usage.values())
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("content", ["[]", "{}", "no JSON", "7"])
def test_features_without_a_description_are_listed_by_their_folder(folder: Path, content: str) -> None:
    base = folder / "features" / "0123abcd"
    write_shard(base / "clean-float32", keys("a"), rows(1))
    (base / "base.json").write_text(content)
    assert [usage.name for usage in cache.cache_usage()] == ["features 0123abcd: clean-float32"]


def test_a_file_is_whole_or_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folder / "deep" / "file"
    cache.write_cache_file(target, b"first")
    real = Path.write_bytes

    def full(partial: Path, content: bytes) -> int:
        real(partial, content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left on device"):
        cache.write_cache_file(target, b"second")
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert target.read_bytes() == b"first"


def test_an_error_names_the_folder_on_one_line_and_how_to_move_it(tmp_path: Path) -> None:
    error = cache.cache_error(tmp_path / "a\nb", OSError(errno.EROFS, "Read-only file system"))
    assert error.message == f"the cache `{tmp_path}/a\\nb` cannot be written: Read-only file system"
    assert "HEADSTART_CACHE" in error.hint


@pytest.mark.parametrize("variables", [{}, {"HEADSTART_CACHE": "~nobody-of-this-name/cache"}])
def test_a_home_that_is_not_known_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("HEADSTART_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.getuid", lambda: 987654321)  # no such user
    with pytest.raises(UserError, match="home folder that is not known") as caught:
        cache.cache_folder()
    assert "HEADSTART_CACHE" in caught.value.hint
