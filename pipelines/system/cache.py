"""Locates headstart's cache folder, and writes files into it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import UserError
from models.machine_errors import full_disk
from pipelines.system.text import one_line

DEFAULT_LIMIT_GB = 20.0
# The mark of a folder that can be made again, as https://bford.info/cachedir/ describes it.
MARKER = "CACHEDIR.TAG"
MARKER_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is the cache of headstart.\n"


def cache_folder() -> Path:
    """`$HEADSTART_CACHE`, else `$XDG_CACHE_HOME/headstart`, else `~/.cache/headstart`; this does not create it.

    Raises:
        UserError: the folder is in a home folder that is not known.
    """
    chosen = os.environ.get("HEADSTART_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "headstart"
    )
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(
            f"the cache folder `{one_line(chosen)}` is in a home folder that is not known",
            "set HEADSTART_CACHE to a folder that you can write to, or HOME",
        ) from error


def cache_limit() -> int:
    """The bytes that cached features and transcoded images may take: `$HEADSTART_CACHE_LIMIT` in GB, 20 by default.

    Raises:
        UserError: the variable is not a finite number above zero.
    """
    text = os.environ.get("HEADSTART_CACHE_LIMIT") or str(DEFAULT_LIMIT_GB)
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 < size < math.inf:
        raise UserError(
            f"HEADSTART_CACHE_LIMIT must be a size in GB, got `{one_line(text)}`", "set it to a number such as 20"
        )
    return int(size * 1e9)


def make_cache_folder() -> None:
    """Make the cache folder where it is missing, with the mark by which backups leave it out and clearing deletes it.

    Raises:
        OSError: it cannot be made.
    """
    folder = cache_folder()
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(MARKER_TEXT, encoding="ascii")


def transcoded_file(sha256: str) -> Path:
    """The lossless PNG in the cache of an image whose format TensorFlow does not read.

    Args:
        sha256: of the image's content, hexadecimal.
    """
    return cache_folder() / "transcoded" / f"{sha256}.png"


def mark_used(path: Path) -> None:
    """Mark a file of the cache as used now: what was used last is deleted last."""
    with suppress(OSError):  # another process deleted it, or the disk is read-only
        os.utime(path)


def cache_error(path: Path, error: Exception) -> UserError:
    """The error for a part of the cache that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return full_disk(error, one_line(path)) or UserError(
        f"the cache `{one_line(path)}` cannot be written: {reason}",
        "set HEADSTART_CACHE to a folder that you can write to",
    )


@contextmanager
def writing_to_cache() -> Iterator[None]:
    """Turn a failure to write into a UserError that names the cache folder and how to move it."""
    try:
        yield
    except OSError as error:
        raise cache_error(cache_folder(), error) from error


def write_cache_file(path: Path, content: bytes) -> None:
    """Write a file into the cache so that it is complete or absent.

    Unlike `pipelines.system.files.atomic` it does not wait for the disk, because a copied data set has many files.

    Raises:
        UserError: it cannot be written; no partial file is left.
    """
    # The numbers keep two processes or threads that write the same content out of each other's way.
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    with writing_to_cache():
        make_cache_folder()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
