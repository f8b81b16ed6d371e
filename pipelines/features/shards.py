"""Shards of features on disk: `.npy` files, written once and atomically, found by content and read by memory map.

A shard is a structured array: in each record the key of a view (the image's SHA-256 and the view's number) and its row
in float16. Its file name ends with the checksum of the file. Two processes may write into one folder at once: names are
unique, a shard appears whole or not at all, and reading the same row twice does no harm.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import HalfRows
from models.errors import UserError
from pipelines.features import old_shards
from pipelines.system.arrays import HEADER_ERRORS, write_array
from pipelines.system.files import naming_full_disk

KEY_BYTES = 34
STALE_SECONDS = 3600.0
ROW_BITS = 32
WRITES = 5  # of a shard that another process deletes before it is opened


def key(sha256: str, view: int) -> bytes:
    """The key of one view of one image: its 32 hash bytes, then the view's number."""
    return bytes.fromhex(sha256) + struct.pack("<H", view)


def shard_files(folder: Path) -> Iterator[Path]:
    """The files of all shards below a folder."""
    for ending in (".npy", old_shards.ENDING):
        yield from folder.rglob(f"*{ending}")


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
            ValueError: it is damaged: its checksum is not the one in its name, or it is not a shard.
        """
        self.path = path
        self._map: mmap.mmap
        if path.suffix == old_shards.ENDING:
            self.keys, self.rows, self._map = old_shards.open_shard(path)
            return
        if _checksum(path) != path.stem.rpartition("-")[2]:
            raise ValueError("wrong checksum")
        records = _load(path)
        keys = records["key"].tobytes()
        self.keys = tuple(keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES))
        self.rows = records["row"].view(np.ndarray)  # a row of a plain array is read in half the time
        assert isinstance(records.base, mmap.mmap), "np.memmap keeps its map there"
        self._map = records.base
        self.release()  # the keys lie in every page

    def release(self) -> None:
        """Let the pages that were read leave this process's memory; they stay in the system's file cache."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def write_shard(folder: Path, keys: Sequence[bytes], rows: HalfRows) -> Path:
    """Write rows (len(keys), row length) as a new shard of `folder`, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    records = np.empty(len(keys), _record_type(rows.shape[1]))
    records["key"] = np.frombuffer(b"".join(keys), f"V{KEY_BYTES}")
    records["row"] = rows
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=folder)
    try:
        with naming_full_disk(folder), open(handle, "wb") as stream:
            write_array(stream, records)
            stream.flush()
            os.fsync(stream.fileno())
        path = folder / f"{time.time_ns():x}-{os.getpid():x}-{_checksum(Path(name))}.npy"
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


class ShardStore:
    """All shards of one kind of feature.

    Attributes:
        folder: where they lie.
        row_length: of every row; None before there is one.
        damaged: how many shards were damaged and removed.
    """

    def __init__(self, folder: Path, row_length: int | None = None) -> None:
        """Open every shard in `folder`; damaged ones are removed, so that their rows are computed again.

        Args:
            folder: where they lie; it need not exist.
            row_length: of every row; shards with others are damaged. None: the length that most rows have.
        """
        self.folder = folder
        self.damaged = 0
        self._shards: list[Shard] = []
        # Shard and row in one number: with millions of keys, tuples would take more memory than the features read.
        self._places: dict[bytes, int] = {}
        paths = sorted(shard_files(folder)) if folder.is_dir() else []
        shards = [shard for path in paths if (shard := self._open(path))]
        self.row_length = _commonest_length(shards) if row_length is None else row_length
        for shard in shards:
            if shard.rows.shape[1] == self.row_length:
                self._include(shard)
            else:
                self._remove(shard.path)
        self._sweep()

    def __contains__(self, wanted: bytes) -> bool:
        return wanted in self._places

    def add(self, keys: Sequence[bytes], rows: HalfRows) -> None:
        """Write rows (len(keys), row length) and make them readable.

        Raises:
            UserError: the rows that are there have another length, which only a damaged cache has; or whatever is
                written is deleted at once.
        """
        if self.row_length not in (None, rows.shape[1]):
            raise UserError(
                f"the features in `{self.folder}` have {self.row_length} values, those of the network {rows.shape[1]}",
                "delete them with `headstart cache clear`",
            )
        self.row_length = rows.shape[1]
        for _ in range(WRITES):
            with suppress(FileNotFoundError):  # the folder was deleted: `headstart cache clear`
                if shard := self._open(write_shard(self.folder, keys, rows)):
                    self._include(shard)
                    return
        raise UserError(f"`{self.folder}` is deleted again and again", "leave the cache alone while a command runs")

    def row(self, wanted: bytes) -> HalfRows:
        """The row (row length,) of a key that is in the store."""
        place = self._places[wanted]
        row: HalfRows = self._shards[place >> ROW_BITS].rows[place & (1 << ROW_BITS) - 1]
        return row

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        for shard in self._shards:
            shard.release()

    def touch(self, used: Iterable[bytes]) -> None:
        """Mark the shards of these keys as used now, for least-recently-used eviction."""
        for number in {self._places[wanted] >> ROW_BITS for wanted in used}:
            try:
                os.utime(self._shards[number].path)
            except OSError:  # evicted or read-only: the rows are still mapped
                continue

    def _open(self, path: Path) -> Shard | None:
        """Open a shard; None where it is damaged, and then removed, or where another process evicted it just now."""
        try:
            return Shard(path)
        except (FileNotFoundError, IsADirectoryError):
            return None
        except ValueError:
            self._remove(path)
            return None

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.damaged += 1

    def _include(self, shard: Shard) -> None:
        first = len(self._shards) << ROW_BITS
        self._shards.append(shard)
        self._places.update(zip(shard.keys, range(first, first + len(shard.keys)), strict=True))

    def _sweep(self) -> None:
        """Remove what killed writers left; a young file may still be written."""
        for path in self.folder.glob(".writing-*") if self.folder.is_dir() else ():
            try:
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue


def _load(path: Path) -> np.memmap[Any, Any]:  # of records, whose type is that of `_record_type`
    """Map a shard's file.

    Raises:
        ValueError: it is not a shard.
    """
    try:
        records = np.load(path, mmap_mode="r", allow_pickle=False)
    except HEADER_ERRORS as error:
        raise ValueError("not a shard") from error
    if not isinstance(records, np.memmap) or records.ndim != 1 or records.dtype.names != ("key", "row"):
        raise ValueError("not a shard")
    shape = records.dtype["row"].shape
    if len(shape) != 1 or records.dtype != _record_type(shape[0]):
        raise ValueError("not a shard")
    return records


def _record_type(row_length: int) -> np.dtype[np.void]:
    return np.dtype([("key", f"V{KEY_BYTES}"), ("row", "<f2", (row_length,))])


def _commonest_length(shards: Iterable[Shard]) -> int | None:
    """The row length that most rows have; None without any."""
    counts: Counter[int] = Counter()
    for shard in shards:
        counts[shard.rows.shape[1]] += len(shard.rows)
    return max(counts, key=counts.__getitem__, default=None)


def _checksum(path: Path) -> str:
    """CRC-32 of a file, hexadecimal."""
    checksum = 0
    with open(path, "rb") as stream:
        # Read in pieces, not through a map: checking must not make the whole cache resident.
        while piece := stream.read(1 << 20):
            checksum = zlib.crc32(piece, checksum)
    return f"{checksum:08x}"
