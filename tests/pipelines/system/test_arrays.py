"""NumPy's files are read as NumPy reads them where they are whole, and refused where they are not."""

from __future__ import annotations

import errno
import io
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.system.arrays import read_array, read_arrays, write_array
from pipelines.system.records import DamagedRecord

ARRAYS: list[Any] = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.zeros((0, 5), np.float16),
    np.array([b"ab", b"c"], "S64"),
    np.float64(3.5),
    np.array([True, False]),
]


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, array: Any) -> None:  # arrays and a number
    np.save(tmp_path / "one.npy", array)
    np.savez(tmp_path / "all.npz", **{"test/one": array, "two": np.arange(3)})
    expected = np.load(tmp_path / "one.npy")
    both = read_arrays(tmp_path / "all.npz")
    assert list(both) == ["test/one", "two"]
    for read in (read_array(tmp_path / "one.npy"), both["test/one"]):
        assert (read.dtype, read.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(read, expected)
        assert read.flags.writeable


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_written_as_numpy_writes_them(tmp_path: Path, array: Any) -> None:  # arrays and a number
    np.save(tmp_path / "numpy.npy", array)
    with open(tmp_path / "ours.npy", "wb") as stream:
        write_array(stream, array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_what_keeps_an_array_from_being_written_has_the_number_of_the_system(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: it needs no rights and takes the same way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(tmp_path / "file", "wb") as stream:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(OSError, match="File too large") as caught:
                write_array(stream, np.zeros(1 << 20))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG


def saved(array: Any) -> bytes:  # an array of any type
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def promising(shape: str) -> bytes:
    """A file of four bytes whose header promises another shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        saved(np.arange(5))[:-1],
        saved(np.arange(5)) + b" ",
        saved(np.array([{}], object)),
        promising("(1000000000000,)"),
        promising("(-1,)"),
        promising("(-1, -1)"),
        promising("(1.0,)"),
        promising("(__import__('os').getpid(),)"),
        saved(np.arange(5)).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.npy").write_bytes(content)
    with pytest.raises(DamagedRecord):
        read_array(tmp_path / "one.npy")
    with zipfile.ZipFile(tmp_path / "all.npz", "w") as archive:
        archive.writestr("one.npy", content)
    with pytest.raises(DamagedRecord):
        read_arrays(tmp_path / "all.npz")


def test_the_file_that_the_damaged_ones_are_made_like_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.npy").write_bytes(promising("(1,)"))
    assert read_array(tmp_path / "one.npy").shape == (1,)


def test_an_archive_that_unpacks_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "all.npz", zeros=np.zeros(10_000_000))
    with pytest.raises(DamagedRecord, match=r"`zeros\.npy` is compressed"):
        read_arrays(tmp_path / "all.npz")


def test_what_is_missing_is_no_damage(tmp_path: Path) -> None:
    for read in (read_array, read_arrays):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "nothing")
