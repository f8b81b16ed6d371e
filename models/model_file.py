"""Writes a Keras model, and reads one from a file that may be damaged or somebody else's: what is wrong is named.

Nothing in a file is run as code: Keras' safe mode, which is its default, refuses lambdas, wrapped PyTorch modules and
classes that are not its own, and zip members that expand beyond measure.
"""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError, first_line

if TYPE_CHECKING:
    import keras

# An archive that unpacks to less than so many bytes, or to so many times its size, is not a bomb.
_SMALL, _MOST_EXPANSION = 1 << 26, 10


def read_model(file: Path, hint: str) -> keras.Model:
    """Read a model from a `.keras` file.

    Args:
        file: its path.
        hint: of the error, how to get another file.

    Raises:
        UserError: the file is missing, closed to us, damaged, does not hold a model, or needs code to load.
        MemoryError: as that, and TensorFlow's ResourceExhaustedError: the model does not fit the memory.
    """
    require_readable(file, hint)
    import keras
    import tensorflow as tf

    try:
        _refuse_bomb(file)
        model = keras.models.load_model(file, compile=False)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:  # What Keras, h5py and zipfile raise on a damaged or foreign file has any type.
        raise UserError(f"`{file}` cannot be loaded: {first_line(error)}", hint) from error
    if not isinstance(model, keras.Model):
        raise UserError(f"`{file}` does not hold a Keras model", hint)
    return model


def write_model(model: keras.Model, path: Path, temporary: Path) -> None:
    """Write a `.keras` file.

    Args:
        model: to write.
        path: of the file.
        temporary: a folder that the caller deletes. Keras has its own temporary folder in it, and leaves that where it
            fails, on a full disk for one.
    """
    before = tempfile.tempdir
    tempfile.tempdir = str(temporary)
    try:
        model.save(path)
    finally:
        tempfile.tempdir = before


def _refuse_bomb(file: Path) -> None:
    """Refuse an archive that unpacks to far more than it takes; Keras does so from 4 GiB a member.

    Keras writes its files without compression, and weights that are compressed lose a tenth of their size.
    """
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    packed = file.stat().st_size
    if unpacked > _SMALL + _MOST_EXPANSION * packed:
        raise ValueError(f"its {packed:,} bytes unpack to {unpacked:,}")


def require_readable(file: Path, hint: str) -> None:
    """Refuse a path that is not a file that can be opened: Keras says `not found` of each.

    Raises:
        UserError: says what it is instead.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # without waiting for the writer of a pipe
    except FileNotFoundError as error:
        raise UserError(f"`{file}` does not exist", hint) from error
    except OSError as error:
        raise UserError(f"`{file}` cannot be read: {(error.strerror or str(error)).lower()}", hint) from error
    is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    if not is_file:
        raise UserError(f"`{file}` is not a file", hint)
