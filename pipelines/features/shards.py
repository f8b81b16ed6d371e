"""Shards of features on disk: written once, atomically, found by the image's content, read by memory map.

A shard is one file: a header, the keys (SHA-256 of the image and the view's number), then float16 rows. Two processes
may write into one folder at once: names are unique, a shard appears whole or not at all, and reading the same row
twice does no harm.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC = b"HSFEAT1\n"
HEADER = struct.Struct("<8sIIII40x")  # magic, rows, row length, checksum of the rest, of these fields; 64 bytes
KEY_BYTES = 34
ENDING = ".shard"
STALE_SECONDS = 3600.0
ROW_BITS = 32


def key(sha256: str, view: int) -> bytes:
    """The key of one view of one image: its 32 hash bytes, then the view's number."""
    return bytes.fromhex(sha256) + struct.pack("<H", view)


def _padded(size: int) -> int:
    return -(-size // 64) * 64


class Shard:
    """One open shard.

    Attributes:
        path: the file.
        keys: of its rows, in order.
        rows: (rows, row length) float16, read-only, backed by the file.
    """

    def __init__(self, path: Path) -> None:
        """Open and check a shard.

        Raises:
            ValueError: it is damaged: wrong magic, length or checksum.
        """
        self.path = path
        with open(path, "rb") as stream:
            header = stream.read(HEADER.size)
            if len(header) < HEADER.size:
                raise ValueError("cut short")
            magic, count, length, checksum, own = HEADER.unpack(header)
            if magic != MAGIC or zlib.crc32(header[:20]) != own:
                raise ValueError("not a shard")
            size = HEADER.size + _padded(count * KEY_BYTES) + count * length * 2
            if os.fstat(stream.fileno()).st_size != size:
                raise ValueError("wrong length")
            keys = stream.read(_padded(count * KEY_BYTES))
            found = zlib.crc32(keys)
            # Read in pieces, not through the map: checking must not make the whole cache resident.
            while piece := stream.read(1 << 20):
                found = zlib.crc32(piece, found)
            if found != checksum:
                raise ValueError("wrong checksum")
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.keys = tuple(keys[at : at + KEY_BYTES] for at in range(0, count * KEY_BYTES, KEY_BYTES))
        offset = HEADER.size + _padded(count * KEY_BYTES)
        self.rows = np.frombuffer(self._map, np.float16, count * length, offset).reshape(count, length)

    def release(self) -> None:
        """Let the pages that were read leave this process's memory; they stay in the system's file cache."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def write_shard(folder: Path, keys: Sequence[bytes], rows: NDArray[np.float16]) -> Path:
    """Write rows (len(keys), row length) as a new shard of `folder`, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    payload = np.asarray(rows, np.float16).tobytes()
    block = b"".join(keys).ljust(_padded(len(keys) * KEY_BYTES), b"\0")
    checksum = zlib.crc32(payload, zlib.crc32(block))
    fields = struct.pack("<8sIII", MAGIC, len(keys), rows.shape[1], checksum)
    header = fields + struct.pack("<I", zlib.crc32(fields)) + bytes(HEADER.size - len(fields) - 4)
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=folder)
    try:
        with open(handle, "wb") as stream:
            stream.write(header)
            stream.write(block)
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        final = folder / f"{time.time_ns():x}-{os.getpid():x}{ENDING}"
        os.replace(name, final)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return final


class ShardStore:
    """All shards of one kind of feature.

    Attributes:
        folder: where they lie.
        damaged: how many shards were found damaged and removed.
    """

    def __init__(self, folder: Path) -> None:
        """Open every shard in `folder`; damaged ones are removed, so that their rows are computed again."""
        self.folder = folder
        self.damaged = 0
        self._shards: list[Shard] = []
        # Shard and row in one number: with millions of keys, tuples would take more memory than the features read.
        self._where: dict[bytes, int] = {}
        for path in sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else ():
            self._open(path)
        self._sweep()

    def _open(self, path: Path) -> None:
        try:
            shard = Shard(path)
        except ValueError:
            path.unlink(missing_ok=True)
            self.damaged += 1
            return
        except FileNotFoundError:  # another process evicted it between the listing and now
            return
        number = len(self._shards)
        self._shards.append(shard)
        self._where.update(
            zip(shard.keys, range(number << ROW_BITS, (number << ROW_BITS) + len(shard.keys)), strict=True)
        )

    def _sweep(self) -> None:
        """Remove what killed writers left; a young one may still be at work."""
        for path in self.folder.glob(".writing-*") if self.folder.is_dir() else ():
            try:
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue

    def __contains__(self, wanted: bytes) -> bool:
        return wanted in self._where

    def add(self, keys: Sequence[bytes], rows: NDArray[np.float16]) -> None:
        """Write rows (len(keys), row length) and make them readable."""
        self._open(write_shard(self.folder, keys, rows))

    def row(self, wanted: bytes) -> NDArray[np.float16]:
        """The row of a key that is in the store."""
        place = self._where[wanted]
        found: NDArray[np.float16] = self._shards[place >> ROW_BITS].rows[place & (1 << ROW_BITS) - 1]
        return found

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        for shard in self._shards:
            shard.release()

    def touch(self, used: Iterable[bytes]) -> None:
        """Mark the shards of these keys as used now, for least-recently-used eviction."""
        for number in {self._where[each] >> ROW_BITS for each in used}:
            try:
                os.utime(self._shards[number].path)
            except OSError:  # evicted or read-only: the rows are still mapped
                continue
