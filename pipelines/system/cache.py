"""Where headstart keeps what it can compute again, how much there is, and what goes first when it is too much."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from pipelines.system.text import printable

DEFAULT_LIMIT_GB = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUsage:
    """One kind of content of the cache.

    Attributes:
        name: what it is, for people.
        files: how many.
        size: bytes.
        used: when one of them was last used, seconds since the epoch.
    """

    name: str
    files: int
    size: int
    used: float


def cache_folder() -> Path:
    """`$HEADSTART_CACHE`, else `$XDG_CACHE_HOME/headstart`, else `~/.cache/headstart`; not created here."""
    if chosen := os.environ.get("HEADSTART_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "headstart"


def limit() -> int:
    """How many bytes of features are kept: `$HEADSTART_CACHE_LIMIT` in GB, 20 by default.

    Raises:
        UserError: the variable is no number above zero.
    """
    text = os.environ.get("HEADSTART_CACHE_LIMIT") or str(DEFAULT_LIMIT_GB)
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not size > 0:
        raise UserError(f"HEADSTART_CACHE_LIMIT is no size in GB: `{text}`", "set it to a number such as 20")
    return int(size * 1e9)


def contents() -> list[CacheUsage]:
    """What the cache holds, the largest first."""
    folder = cache_folder()
    held = []
    for base in sorted((folder / "features").glob("*")):
        try:
            known = json.loads((base / "base.json").read_text(encoding="utf-8"))
            name = f"features of {known['backbone']}, {known['image_size']} px, {known['pooling']} pooling"
        except (OSError, ValueError, KeyError):
            name = f"features {base.name}"
        held += [_held(f"{name}: {kind.name}", kind) for kind in sorted(base.iterdir()) if kind.is_dir()]
    others = [path for path in sorted(folder.glob("*")) if path.name != "features"]
    held += [_held(path.name, path) for path in others]
    return sorted((each for each in held if each.files), key=lambda each: -each.size)


def clear() -> int:
    """Delete the cache and return how many bytes it held. Nothing in it cannot be computed again."""
    folder = cache_folder()
    size = sum(each.size for each in contents())
    for name in ("features", "boundaries", "transcoded", "tfds"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("ledger*"):
        path.unlink(missing_ok=True)
    return size


def evict() -> int:
    """Delete the least recently used shards until the features fit the limit; return how many bytes went."""
    shards = []
    for path in (cache_folder() / "features").rglob("*.shard"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        shards.append((found.st_mtime, found.st_size, path))
    excess, gone = sum(size for _, size, _ in shards) - limit(), 0
    for _, size, path in sorted(shards):
        if gone >= excess:
            break
        # A process that has it mapped keeps reading it: on POSIX the bytes live until the last map goes.
        path.unlink(missing_ok=True)
        gone += size
    return gone


def _held(name: str, path: Path) -> CacheUsage:
    files = [each.stat() for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()]
    return CacheUsage(
        name=name,
        files=len(files),
        size=sum(each.st_size for each in files),
        used=max((each.st_mtime for each in files), default=0.0),
    )


def transcoded_file(sha256: str) -> Path:
    """Where the cache keeps the lossless PNG of a content that TensorFlow does not read."""
    return cache_folder() / "transcoded" / f"{sha256}.png"


@contextmanager
def writing_to_cache() -> Iterator[None]:
    """Turn a failure to write into the cache into an error that says where the cache is and how to move it."""
    try:
        yield
    except OSError as error:
        raise _unusable(cache_folder(), error) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file into the cache so that it is there whole or not at all.

    Raises:
        UserError: it cannot be written; nothing half-written is left.
    """
    # The numbers keep two processes or threads that write the same content out of each other's way.
    half = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    with writing_to_cache():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            half.write_bytes(content)
            os.replace(half, path)
        finally:
            half.unlink(missing_ok=True)


def _unusable(path: Path, error: Exception) -> UserError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(
        f"the cache `{printable(str(path))}` cannot be written: {words}",
        "make room there, or set HEADSTART_CACHE to a folder that you can write to",
    )
