"""What is counted in the cache, what is deleted first, and that nothing of the user's is deleted."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pipelines.data.known_images import DecodeResult, open_known_images
from pipelines.features.shards import ShardStore, key, write_shard
from pipelines.system.cache import MARKER, make_cache_folder, transcoded_file, write_cache_file
from pipelines.system.cache_contents import Cleared, cache_usage, clear_cache, evict
from pipelines.system.cache_users import use_cache

ROOT = Path(__file__).resolve().parents[3]
BASE = "0123456789abcdef"


def keys(*names: str) -> list[bytes]:
    return [key(hashlib.sha256(name.encode()).hexdigest(), 0) for name in names]


def rows(count: int, length: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, length)).astype(np.float16)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test that is not there yet."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, name: str, size: int, used: float = 1000.0) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x" * size)
    os.utime(folder / name, (used, used))
    return folder / name


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_least_recently_used_shards_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = folder / "features" / BASE / "clean-float32"
    paths = [write_shard(shards, keys(name), rows(1, length=1000)) for name in "abc"]
    for age, path in enumerate(paths):
        os.utime(path, (1000 + age, 1000 + age))
    store = ShardStore(shards)
    store.touch(keys("a"))  # the oldest is used now
    size = paths[0].stat().st_size
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", str(2 * size / 1e9))
    assert evict() == size
    assert [path.exists() for path in paths] == [True, False, True]


def test_features_below_the_limit_stay(folder: Path) -> None:
    path = write_shard(folder / "features" / BASE / "clean-float32", keys("a"), rows(1))
    assert evict() == 0
    assert path.exists()


def test_converted_images_count_towards_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (
        write(folder, f"transcoded/{name * 64}.png", 1000, used) for name, used in (("a", 1000.0), ("b", 3000.0))
    )
    shard = write(folder, f"features/{BASE}/clean/1-2-01234567.npy", 1000, 2000.0)
    theirs = [write(folder, name, 1000, 1.0) for name in ("features/experiment/w.npy", "transcoded/photo.png")]
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "2e-6")
    assert evict() == 1000
    assert (old.exists(), shard.exists(), new.exists()) == (False, True, True)
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "1e-6")
    assert evict() == 1000
    assert (shard.exists(), new.exists()) == (False, True)
    assert all(path.exists() for path in theirs)


def test_converted_images_that_a_process_uses_are_not_evicted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "1e-9")
    image = write(folder, f"transcoded/{'a' * 64}.png", 1000)
    shard = write(folder, f"features/{BASE}/clean/1-2-01234567.npy", 1000, 2000.0)
    with another_user():
        assert evict() == 1000
        assert (image.exists(), shard.exists()) == (True, False)
    use_cache()
    write_cache_file(transcoded_file("b" * 64), b"y" * 1000)  # this process uses it now
    assert evict() == 1000
    assert files(folder / "transcoded") == [f"{'b' * 64}.png"]


def test_every_content_is_listed_by_size_and_cleared(folder: Path) -> None:
    base = folder / "features" / BASE
    write_shard(base / "light-float32", keys("a", "b"), rows(2, length=2000))
    (base / "base.json").write_text(json.dumps({"backbone": "vgg16", "image_size": 96, "pooling": "avg"}))
    write(folder, f"transcoded/{'a' * 64}.png", 5_000)
    write(folder, "tfds/cats/plain_text/1.0.0/train/0000/00000012-1.img", 90_000)
    write(folder, f"boundaries/{BASE}/clean-float32/18eaf5760f1ce991-fee.shard", 300)
    with open_known_images("versions") as known_images:
        known_images.add([DecodeResult(sha256="00" * 32, reason=None, transcoded=False)])

    usage = {content.name: content for content in cache_usage()}
    assert next(iter(usage)) == "tfds"
    shards = "features of vgg16, 96 px, avg pooling: light-float32"
    assert set(usage) == {"tfds", "transcoded", "boundaries", "ledger.sqlite", shards}
    assert (usage["tfds"].files, usage["tfds"].size, usage["tfds"].used) == (1, 90_000, 1000.0)
    assert clear_cache() == Cleared(size=sum(content.size for content in usage.values()), kept=0)
    assert files(folder) == []


def test_features_of_levels_have_another_name(folder: Path) -> None:
    base = folder / "features" / BASE
    write_shard(base / "clean-float32", keys("a"), rows(1))
    values = {"backbone": "vgg16", "image_size": 96, "pooling": "avg", "features": "levels"}
    (base / "base.json").write_text(json.dumps(values))
    assert [content.name for content in cache_usage()] == [
        "features of vgg16, 96 px, avg pooling, levels: clean-float32"
    ]


def test_features_of_another_fit_have_another_name(folder: Path) -> None:
    base = folder / "features" / BASE
    write_shard(base / "clean-float32", keys("a"), rows(1))
    values = {"backbone": "vgg16", "image_size": 96, "pooling": "avg", "fit": "crop"}
    (base / "base.json").write_text(json.dumps(values))
    assert [content.name for content in cache_usage()] == ["features of vgg16, 96 px crop, avg pooling: clean-float32"]


def test_what_an_earlier_version_wrote_is_cleared(folder: Path) -> None:
    names = ["base.json", "engine-auto.json", "engines.json", "clean-float32/18eaf5760f1ce991-fee.shard"]
    for name in (*names, ".base.json.abcd1234", "clean-float32/.writing-x1_abcde"):
        write(folder, f"features/{BASE}/{name}", 10)
    write(folder, "ledger.sqlite-journal", 0)
    clear_cache()
    assert files(folder) == []
    assert list(folder.iterdir()) == []  # the folder itself was there before: it has no mark


@pytest.mark.parametrize(
    "name",
    [
        "features/experiment/w.npy",
        f"features/{BASE}/clean/w.npy",
        f"features/{BASE}/notes.json",
        "features/readme.txt",
        "boundaries/map.shard",
        "transcoded/photo.png",
        f"transcoded/{'a' * 63}.png",
        "tfds/cats/1.0.0/train/0000/cat.img",
        "ledger-2026.xlsx",
        "ledger.sqlite.bak",
        f"src/features/{BASE}/clean/1-2.npy",
    ],
)
def test_what_only_looks_like_ours_is_neither_listed_nor_deleted(name: str, folder: Path) -> None:
    write(folder, name, 10)
    assert cache_usage() == []
    assert clear_cache() == Cleared(size=0, kept=0)
    assert files(folder) == [name]


def test_a_folder_that_headstart_made_goes_with_its_contents(folder: Path) -> None:
    make_cache_folder()
    write_shard(folder / "features" / BASE / "clean-float32", keys("a"), rows(1))
    clear_cache()
    assert not folder.exists()
    make_cache_folder()
    write(folder, "notes.txt", 1)
    clear_cache()
    assert files(folder) == [MARKER, "notes.txt"]


def test_a_running_command_keeps_what_it_reads(folder: Path) -> None:
    image = write(folder, f"transcoded/{'a' * 64}.png", 700)
    shard = write(folder, f"features/{BASE}/clean/1-2-01234567.npy", 1000)
    unfinished = write(folder, f"features/{BASE}/clean/.writing-abc", 10)
    # A deleted journal would damage the database, a deleted database stop the transactions of all who have it open.
    database, journal = write(folder, "ledger.sqlite", 20), write(folder, "ledger.sqlite-journal", 3)
    with another_user():
        assert clear_cache() == Cleared(size=1000, kept=723)
        assert (image.exists(), shard.exists(), unfinished.exists()) == (True, False, True)
        assert database.exists() and journal.exists()
    assert clear_cache() == Cleared(size=723, kept=0)
    assert files(folder) == []


@contextmanager
def another_user() -> Iterator[None]:
    """Another process uses the cache."""
    script = (
        "import sys; from pipelines.system.cache_users import use_cache; use_cache(); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        yield
        process.kill()


@pytest.mark.parametrize("content", ["[]", "{}", "no JSON", "7"])
def test_features_without_a_description_are_listed_by_their_folder(folder: Path, content: str) -> None:
    base = folder / "features" / BASE
    write_shard(base / "clean-float32", keys("a"), rows(1))
    (base / "base.json").write_text(content)
    assert [usage.name for usage in cache_usage()] == [f"features {BASE}: clean-float32"]
