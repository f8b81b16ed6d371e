"""Reads the shards that headstart wrote before 2026-11-24, so that a cache keeps its features.

A header of 64 bytes, the keys, then float16 rows; each block is padded to 64 bytes.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from models.arrays import HalfRows

ENDING = ".shard"
MAGIC = b"HSFEAT1\n"
HEADER = struct.Struct("<8sIIII40x")  # magic, rows, row length, checksum of the rest, of these fields
KEY_BYTES = 34


def open_shard(path: Path) -> tuple[tuple[bytes, ...], HalfRows, mmap.mmap]:
    """The keys, the rows (rows, row length) and the memory map of a shard.

    Raises:
        ValueError: it is damaged: wrong magic, length or checksum.
    """
    with open(path, "rb") as stream:
        header = stream.read(HEADER.size)
        if len(header) < HEADER.size:
            raise ValueError("cut short")
        magic, count, length, checksum, header_checksum = HEADER.unpack(header)
        if magic != MAGIC or zlib.crc32(header[:20]) != header_checksum:
            raise ValueError("not a shard")
        key_block = -(-count * KEY_BYTES // 64) * 64
        if os.fstat(stream.fileno()).st_size != HEADER.size + key_block + count * length * 2:
            raise ValueError("wrong length")
        keys = stream.read(key_block)
        computed = zlib.crc32(keys)
        while piece := stream.read(1 << 20):
            computed = zlib.crc32(piece, computed)
        if computed != checksum:
            raise ValueError("wrong checksum")
        memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    rows = np.frombuffer(memory, np.float16, count * length, HEADER.size + key_block).reshape(count, length)
    return tuple(keys[start : start + KEY_BYTES] for start in range(0, count * KEY_BYTES, KEY_BYTES)), rows, memory
