"""Features that an earlier headstart cached are still read: its layout, written here by hand."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipelines.features.shards import ShardStore, key

ROWS = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float16)
KEYS = [key(hashlib.sha256(name).hexdigest(), view) for name, view in ((b"a", 0), (b"b", 0), (b"a", 1))]


def old_shard() -> bytes:
    """64 bytes of header, the keys padded to 64, then the rows."""
    payload = b"".join(KEYS).ljust(128, b"\0") + ROWS.tobytes()
    fields = struct.pack("<8sIII", b"HSFEAT1\n", len(KEYS), ROWS.shape[1], zlib.crc32(payload))
    return (fields + struct.pack("<I", zlib.crc32(fields))).ljust(64, b"\0") + payload


def test_old_rows_are_read_beside_new_ones(tmp_path: Path) -> None:
    (tmp_path / "18eaf6dcef0f7faf-7f66.shard").write_bytes(old_shard())
    store = ShardStore(tmp_path)
    new = key(hashlib.sha256(b"new").hexdigest(), 0)
    store.add([new], ROWS[:1] + 1)
    for wanted, row in zip(KEYS, ROWS, strict=True):
        np.testing.assert_array_equal(store.row(wanted), row)
    store.release()
    np.testing.assert_array_equal(ShardStore(tmp_path).row(new), ROWS[0] + 1)
    np.testing.assert_array_equal(store.row(KEYS[1]), ROWS[1])


@pytest.mark.parametrize("at", [3, 9, 70, 64 + 128 + 3, -1], ids=["magic", "count", "keys", "rows", "last byte"])
def test_a_flipped_bit_in_an_old_shard_is_noticed(tmp_path: Path, at: int) -> None:
    content = bytearray(old_shard())
    content[at] ^= 4
    (tmp_path / "1-2.shard").write_bytes(content)
    store = ShardStore(tmp_path)
    assert store.damaged == 1
    assert KEYS[0] not in store
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 10, 64, 200])
def test_an_old_shard_cut_short_is_noticed(tmp_path: Path, size: int) -> None:
    (tmp_path / "1-2.shard").write_bytes(old_shard()[:size])
    assert ShardStore(tmp_path).damaged == 1
