"""Writes NumPy's files, and reads those that may be damaged: never more than the file holds, and no Python objects."""

from __future__ import annotations

import errno
import math
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pipelines.system.records import DamagedRecord
from pipelines.system.text import one_line

# What numpy's reader of headers raises on one that is damaged.
HEADER_ERRORS = (ValueError, EOFError, SyntaxError, OverflowError, TypeError, tokenize.TokenError)
AnyArray: TypeAlias = NDArray[Any]  # of any type: whoever reads it checks that


def write_array(stream: IO[bytes], array: AnyArray) -> None:
    """Write an array as an `.npy` file, so that a failure is the system's own.

    NumPy writes into a file by C's `fwrite`, and where the disk is full raises "1000 requested and 80 written".

    Raises:
        OSError: with the system's number.
    """
    np.save(_Sink(stream), array, allow_pickle=False)


class _Sink:
    """A stream that NumPy does not take for a file, so that it calls its `write`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write


def read_array(file: Path) -> AnyArray:
    """Read the array of an `.npy` file.

    Raises:
        DamagedRecord: it is not whole.
        OSError: it cannot be read.
    """
    try:
        with open(file, "rb") as stream:
            return _read(stream, file.stat().st_size)
    except HEADER_ERRORS as error:
        raise DamagedRecord(one_line(error)) from error


def read_arrays(file: Path) -> dict[str, AnyArray]:
    """Read all arrays of an `.npz` file by their names.

    Raises:
        DamagedRecord: it is not whole.
        OSError: it cannot be read.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:  # headstart writes no other
                    raise DamagedRecord(f"`{one_line(member.filename)}` is compressed")
                with archive.open(member) as stream:
                    arrays[member.filename.removesuffix(".npy")] = _read(stream, member.file_size)
    # RuntimeError: a member that is encrypted; NotImplementedError: of a later version of the format.
    except (zipfile.BadZipFile, RuntimeError, *HEADER_ERRORS) as error:
        raise DamagedRecord(one_line(error)) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # zipfile seeks a place before the beginning
            raise
        raise DamagedRecord("not an archive") from error
    return arrays


def _read(stream: IO[bytes], length: int) -> AnyArray:
    """Read an array of which the header promises exactly the bytes that follow it.

    Args:
        stream: of the file.
        length: of the file, bytes.
    """
    version = npy.read_magic(stream)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read_header is None:
        raise DamagedRecord(f"version {version} of the format is not known")
    shape, is_fortran, dtype = read_header(stream)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or stream.tell() + size != length:
        raise DamagedRecord("its header does not fit its content")
    content = stream.read(size)
    if len(content) != size:
        raise DamagedRecord("cut short")
    if not size:
        return np.zeros(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C").copy()
