"""Locates headstart's cache folder, measures and clears it, and keeps its features below a size limit."""

from __future__ import annotations

import math
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from pipelines.system.records import DamagedRecord, as_record, read_plain
from pipelines.system.text import one_line

DEFAULT_LIMIT_GB = 20.0
SHARD_ENDINGS = (".npy", ".shard")  # of features; the second until 2026-11-24


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUsage:
    """The disk space that one kind of content takes in the cache.

    Attributes:
        name: of the content, as `headstart cache` prints it.
        files: number of files.
        size: bytes.
        used: when a file of it was last used, seconds since the epoch.
    """

    name: str
    files: int
    size: int
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _BaseNames:
    """What `base.json` says of a base, for people."""

    backbone: str
    image_size: int
    pooling: str


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
    """The bytes that cached features may take: `$HEADSTART_CACHE_LIMIT` in GB, 20 by default.

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


def cache_usage() -> list[CacheUsage]:
    """The contents of the cache, the largest first."""
    folder = cache_folder()
    contents = []
    for base in sorted((folder / "features").glob("*")):
        name = _features_name(base)
        contents += [_usage(f"{name}: {kind.name}", kind) for kind in sorted(base.iterdir()) if kind.is_dir()]
    contents += [_usage(path.name, path) for path in sorted(folder.glob("*")) if path.name != "features"]
    return sorted((usage for usage in contents if usage.files), key=lambda usage: -usage.size)


def clear_cache() -> int:
    """Delete the cache, all of which can be computed again; return how many bytes it took."""
    folder = cache_folder()
    size = sum(usage.size for usage in cache_usage())
    for name in ("features", "boundaries", "transcoded", "tfds"):
        shutil.rmtree(folder / name, ignore_errors=True)
    # The database of `pipelines.data.known_images`, and its journal.
    for path in folder.glob("ledger*"):
        path.unlink(missing_ok=True)
    return size


def evict_features() -> int:
    """Delete the least recently used shards until the features fit the limit; return how many bytes were freed."""
    shards = sorted(
        (status.st_mtime, status.st_size, path)
        for path, status in _files((cache_folder() / "features").rglob("*"))
        if path.suffix in SHARD_ENDINGS
    )
    excess, freed = sum(size for _, size, _ in shards) - cache_limit(), 0
    for _, size, path in shards:
        if freed >= excess:
            break
        # A process that has the shard mapped keeps reading it: on POSIX the bytes live until the last map is closed.
        path.unlink(missing_ok=True)
        freed += size
    return freed


def transcoded_file(sha256: str) -> Path:
    """The lossless PNG in the cache of an image whose format TensorFlow does not read.

    Args:
        sha256: of the image's content, hexadecimal.
    """
    return cache_folder() / "transcoded" / f"{sha256}.png"


def cache_error(path: Path, error: Exception) -> UserError:
    """The error for a part of the cache that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(
        f"the cache `{one_line(path)}` cannot be written: {reason}",
        "free some space there, or set HEADSTART_CACHE to a folder that you can write to",
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
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _features_name(folder: Path) -> str:
    """The name of a base's folder of features, from the description that lies in it."""
    try:
        base = as_record(read_plain(folder / "base.json"), _BaseNames)
        return f"features of {base.backbone}, {base.image_size} px, {base.pooling} pooling"
    except (OSError, DamagedRecord):
        return f"features {folder.name}"


def _usage(name: str, path: Path) -> CacheUsage:
    files = [status for _, status in _files([path] if path.is_file() else path.rglob("*"))]
    return CacheUsage(
        name=name,
        files=len(files),
        size=sum(status.st_size for status in files),
        used=max((status.st_mtime for status in files), default=0.0),
    )


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """The regular files among `paths` with their status; what another process deletes meanwhile is left out."""
    for path in paths:
        try:
            if path.is_file():
                yield path, path.stat()
        except FileNotFoundError:
            continue
