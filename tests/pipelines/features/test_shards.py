"""Shards are whole or not there, damaged ones are computed again, and two writers lose nothing."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from models.errors import UserError
from pipelines.features import shards
from pipelines.features.shards import ShardStore, key, write_shard

ROOT = Path(__file__).resolve().parents[3]


def _keys(*names: str, view: int = 0) -> list[bytes]:
    return [key(hashlib.sha256(name.encode()).hexdigest(), view) for name in names]


def _rows(count: int, length: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, length)).astype(np.float16)


def test_rows_come_back_bit_for_bit_and_views_are_distinct(tmp_path: Path) -> None:
    store = ShardStore(tmp_path / "kind")
    keys, rows = _keys("a", "b") + _keys("a", view=1), _rows(3)
    store.add(keys, rows)
    again = ShardStore(tmp_path / "kind")
    for wanted, row in zip(keys, rows, strict=True):
        np.testing.assert_array_equal(again.row(wanted), row)
    assert _keys("b", view=1)[0] not in again


# The header of a `.npy` file takes 128 bytes here; a record takes a key of 34 bytes and a row of 10.
@pytest.mark.parametrize("at", range(0, 128 + 2 * (34 + 10), 3))
def test_a_flipped_bit_anywhere_is_noticed_and_the_rest_stays(tmp_path: Path, at: int) -> None:
    path = write_shard(tmp_path, _keys("a", "b"), _rows(2))
    write_shard(tmp_path, _keys("c"), _rows(1))
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    store = ShardStore(tmp_path)
    assert (store.damaged, path.exists()) == (1, False)
    assert _keys("a")[0] not in store
    assert _keys("c")[0] in store


@pytest.mark.parametrize("size", [0, 10, 64, 200])
def test_a_shard_cut_short_is_noticed(tmp_path: Path, size: int) -> None:
    path = write_shard(tmp_path, _keys("a", "b"), _rows(2, length=50))
    os.truncate(path, size)
    assert ShardStore(tmp_path).damaged == 1


def test_rows_stay_readable_after_release_and_after_the_file_is_gone(tmp_path: Path) -> None:
    store, rows = ShardStore(tmp_path), _rows(2)
    store.add(_keys("a", "b"), rows)
    store.release()
    for path in tmp_path.glob("*.npy"):
        path.unlink()
    np.testing.assert_array_equal(store.row(_keys("b")[0]), rows[1])


def named_by_its_checksum(folder: Path, content: bytes) -> Path:
    """A file that has the name of a whole shard, whatever is in it."""
    path = folder / f"1-1-{zlib.crc32(content):08x}.npy"
    path.write_bytes(content)
    return path


def npy(array: Any) -> bytes:  # an array of any type
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        npy(np.zeros((3, 5), np.float16)),
        npy(np.zeros(3, [("key", "V34"), ("row", "<f4", (5,))])),
        npy(np.zeros(3, [("key", "V33"), ("row", "<f2", (5,))])),
        npy(np.zeros(3, [("key", "V34"), ("row", "<f2", (5, 1))])),
        npy(np.zeros(3, [("key", "V34"), ("rows", "<f2", (5,))])),
        npy(np.zeros((3, 1), [("key", "V34"), ("row", "<f2", (5,))])),
        npy(np.array([{}], object)),
        npy(np.zeros(3, [("key", "V34"), ("row", "<f2", (5,))]))[:-1],
    ],
)
def test_a_file_with_a_good_checksum_and_another_content_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = named_by_its_checksum(tmp_path, content)
    write_shard(tmp_path, _keys("c"), _rows(1))
    store = ShardStore(tmp_path)
    assert (store.damaged, path.exists(), _keys("c")[0] in store) == (1, False, True)


def test_rows_of_another_length_are_damaged(tmp_path: Path) -> None:
    write_shard(tmp_path, _keys("short"), _rows(1, length=3))
    write_shard(tmp_path, _keys("a", "b"), _rows(2))
    store = ShardStore(tmp_path, 5)
    assert (store.damaged, store.row_length) == (1, 5)
    assert [name in store for name in _keys("short", "a", "b")] == [False, True, True]
    assert ShardStore(tmp_path, 5).damaged == 0


def test_without_a_length_that_of_most_rows_counts(tmp_path: Path) -> None:
    write_shard(tmp_path, _keys("short"), _rows(1, length=3))
    write_shard(tmp_path, _keys("a", "b"), _rows(2))
    write_shard(tmp_path, _keys("long"), _rows(1, length=9))
    store = ShardStore(tmp_path)
    assert (store.damaged, store.row_length) == (2, 5)


def test_rows_that_do_not_fit_those_that_are_there_are_an_error(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    store.add(_keys("a"), _rows(1))
    with pytest.raises(UserError, match="have 5 values, those of the network 6") as caught:
        store.add(_keys("b"), _rows(1, length=6))
    assert "cache clear" in caught.value.hint


def test_a_folder_with_the_name_of_a_shard_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    write_shard(tmp_path, _keys("a"), _rows(1))
    assert (ShardStore(tmp_path).damaged, (tmp_path / "folder.npy").is_dir()) == (0, True)


def test_a_file_of_another_name_is_not_a_shard(tmp_path: Path) -> None:
    path = write_shard(tmp_path, _keys("a"), _rows(1))
    path.rename(tmp_path / f"{path.stem[:-8]}00000000.npy")
    assert ShardStore(tmp_path).damaged == 1


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="resident memory is read from /proc")
def test_a_large_store_is_opened_and_read_in_the_memory_of_a_shard(tmp_path: Path) -> None:
    """Eight shards of 8 MB, read piece by piece: a process holds no more than two of them at once."""
    for number in range(8):
        write_shard(tmp_path, [key(f"{number:064x}", view) for view in range(1000)], _rows(1000, length=4096))
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from pipelines.features.shards import ShardStore, key
def resident():  # kB of files that are mapped
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))
before = resident()
store = ShardStore(Path({str(tmp_path)!r}))
opened = resident()
most = 0
for number in range(8):
    total = sum(float(store.row(key(f"{{number:064x}}", view)).sum()) for view in range(1000))
    most = max(most, resident())
    store.release()
print(opened - before, most - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    opened, most = map(int, done.stdout.split())
    assert opened < 8_000
    assert 7_000 < most < 16_000


def test_a_writer_killed_at_work_leaves_whole_shards_only(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import hashlib, numpy as np
from pathlib import Path
from pipelines.features.shards import key, write_shard
print("ready", flush=True)
for number in range(10**6):
    names = [f"{{number}}-{{each}}" for each in range(50)]
    keys = [key(hashlib.sha256(name.encode()).hexdigest(), 0) for name in names]
    write_shard(Path({str(tmp_path)!r}), keys, np.full((50, 4000), number % 1000, np.float16))
"""
    writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    while not list(tmp_path.glob("*.npy")) and writer.poll() is None:
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    store = ShardStore(tmp_path)
    assert store.damaged == 0
    assert (store.row(key(hashlib.sha256(b"0-7").hexdigest(), 0)) == 0).all()


def test_a_full_disk_leaves_nothing_and_the_error_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(stream: IO[bytes], array: Any) -> None:  # of records
        stream.write(b"half")
        Path("/dev/full").write_bytes(b"x")  # answers every write as a full disk does

    monkeypatch.setattr(shards, "write_array", write)
    with pytest.raises(OSError, match="No space left") as caught:
        write_shard(tmp_path, [key("00" * 32, 0)], np.zeros((1, 3), np.float16))
    assert caught.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    script = """
import sys; sys.path.insert(0, sys.argv[1])
import hashlib, numpy as np
from pathlib import Path
from pipelines.features.shards import ShardStore, key
store = ShardStore(Path(sys.argv[2]))
for number in range(30):
    name = f"{sys.argv[3]}-{number}".encode()
    store.add([key(hashlib.sha256(name).hexdigest(), 0)], np.full((1, 8), number, np.float16))
"""
    writers = [subprocess.Popen([sys.executable, "-c", script, str(ROOT), str(tmp_path), who]) for who in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    store = ShardStore(tmp_path)
    for who in "ab":
        for number in range(30):
            wanted = key(hashlib.sha256(f"{who}-{number}".encode()).hexdigest(), 0)
            assert (store.row(wanted) == number).all()


def test_what_killed_writers_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".writing-old", tmp_path / ".writing-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    ShardStore(tmp_path)
    assert (old.exists(), young.exists()) == (False, True)
