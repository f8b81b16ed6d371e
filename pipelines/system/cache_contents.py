"""Lists what lies in headstart's cache, deletes it, and keeps it below a size limit.

Only files whose place and name are those that headstart gives are counted and deleted: the folder may be one that the
user keeps other things in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.system.cache import MARKER, cache_folder, cache_limit
from pipelines.system.cache_users import USERS_FILE, used_alone
from pipelines.system.records import DamagedRecord, as_record, read_plain

# Everything that headstart and its earlier versions write into the cache, relative to its folder.
_DIGEST = r"[0-9a-f]{16}"
_SHARD = r"[0-9a-f]+-[0-9a-f]+(-[0-9a-f]{8})?\.(npy|shard)"
_BASE_FILE = r"(base|chosen-engines|engines|engine-[\w-]+)\.json"
_UNFINISHED = r"(\.\d+\.\d+\.part)?"
SHARDS = re.compile(rf"(features|boundaries)/{_DIGEST}/[^/]+/{_SHARD}", re.DOTALL)
IMAGES = re.compile(r"transcoded/[0-9a-f]{64}\.png")
# The database of `pipelines.data.known_images`, and its journal.
DATABASE = re.compile(r"ledger\.sqlite(-journal|-wal|-shm)?")
CONTENT = re.compile(
    rf"(features|boundaries)/{_DIGEST}/([^/]+/{_SHARD}|{_BASE_FILE})"
    rf"|{IMAGES.pattern}"
    r"|tfds/.+/\d+\.\d+\.\d+/(complete\.json|[^/]+/\d{4}/\d{8}-\d+\.img)"
    rf"|{DATABASE.pattern}",
    re.DOTALL,
)
UNFINISHED = re.compile(
    rf"(features|boundaries)/{_DIGEST}/([^/]+/\.writing-\w+|\.{_BASE_FILE}\.\w+)|(transcoded|tfds)/.+\.\d+\.\d+\.part",
    re.DOTALL,
)
FOLDERS = ("features", "boundaries", "transcoded", "tfds")
_STARTED = time.time()


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
class Cleared:
    """What was deleted from the cache, and what was left.

    Attributes:
        size: bytes that were deleted.
        kept: bytes of transcoded images, and of the list of checked images, that other processes use.
    """

    size: int
    kept: int


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file that headstart wrote into the cache.

    Attributes:
        path: where it lies.
        name: its path relative to the cache.
        size: bytes.
        used: when it was last used, seconds since the epoch.
    """

    path: Path
    name: str
    size: int
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _BaseNames:
    """What `base.json` says of a base, for people."""

    backbone: str
    image_size: int
    pooling: str
    features: str = "last"
    fit: str = "squash"


def cache_usage() -> list[CacheUsage]:
    """The contents of the cache, the largest first."""
    places: dict[str, list[CachedFile]] = {}
    for file in _files():
        if place := _place(file.name):
            places.setdefault(place, []).append(file)
    kinds: dict[str, list[CachedFile]] = {}
    for place, files in places.items():
        kinds.setdefault(_kind(place), []).extend(files)
    contents = [
        CacheUsage(
            name=name,
            files=len(files),
            size=sum(file.size for file in files),
            used=max(file.used for file in files),
        )
        for name, files in kinds.items()
    ]
    return sorted(contents, key=lambda usage: -usage.size)


def clear_cache() -> Cleared:
    """Delete what headstart wrote into its cache, all of which can be computed again.

    While other processes use the cache, the transcoded images that they read stay, and so do the files that they write.
    Features go: who has them open keeps reading, and who has not computes them again.
    """
    size = kept = 0
    with used_alone() as is_alone:
        for file in _files():
            if is_alone or not (IMAGES.fullmatch(file.name) or DATABASE.fullmatch(file.name)):
                file.path.unlink(missing_ok=True)
                size += file.size if _place(file.name) else 0
            else:
                kept += file.size
        if is_alone:
            _delete_rest()
    return Cleared(size=size, kept=kept)


def evict() -> int:
    """Delete the least recently used features and transcoded images until both fit the limit.

    Transcoded images go only where no other process uses the cache, and none that this process uses.

    Returns:
        How many bytes were freed.
    """
    images = (file for file in _files("transcoded") if IMAGES.fullmatch(file.name))
    files = sorted((*shards_in("features"), *images), key=lambda file: file.used)
    excess, freed = sum(file.size for file in files) - cache_limit(), 0
    if excess <= 0:
        return 0
    with used_alone() as is_alone:
        for file in files:
            if freed >= excess:
                break
            if IMAGES.fullmatch(file.name) and not (is_alone and file.used < _STARTED):
                continue
            # A process that has a shard mapped keeps reading it: on POSIX the bytes live until the last map is closed.
            file.path.unlink(missing_ok=True)
            freed += file.size
    return freed


def shards_in(folder: str) -> list[CachedFile]:
    """The shards in one folder of the cache, `features` or `boundaries`."""
    return [file for file in _files(folder) if SHARDS.fullmatch(file.name)]


def _files(*names: str) -> Iterator[CachedFile]:
    """The files that headstart wrote into some folders of the cache; what is deleted meanwhile is left out."""
    folder = cache_folder()
    paths = [path for name in names or FOLDERS for path in (folder / name).rglob("*")]
    for path in paths if names else [*paths, *folder.glob("ledger.sqlite*")]:
        name = path.relative_to(folder).as_posix()
        try:
            if CONTENT.fullmatch(name) and not path.is_symlink() and path.is_file():
                status = path.stat()
                yield CachedFile(path, name, status.st_size, status.st_mtime)
        except FileNotFoundError:
            continue


def _delete_rest() -> None:
    """Delete unfinished files, then the folders of the cache that are empty, and the whole where headstart made it."""
    folder = cache_folder()
    for name in FOLDERS:
        for path in sorted((folder / name).rglob("*"), reverse=True):
            if UNFINISHED.fullmatch(path.relative_to(folder).as_posix()):
                path.unlink(missing_ok=True)
            elif path.is_dir() and not path.is_symlink():
                _delete_if_empty(path)
        _delete_if_empty(folder / name)
    (folder / USERS_FILE).unlink(missing_ok=True)
    if (folder / MARKER).is_file() and [path.name for path in folder.iterdir()] == [MARKER]:
        (folder / MARKER).unlink()
        _delete_if_empty(folder)


def _delete_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def _place(name: str) -> str:
    """The folder of files that are listed together; an empty text for what is not listed, the description of a base."""
    parts = name.split("/")
    if parts[0] != "features":
        return parts[0]
    return "/".join(parts[:3]) if len(parts) == 4 else ""


def _kind(place: str) -> str:
    """What the user calls the files of a place."""
    if "/" not in place:
        return place
    _, base, kind = place.split("/")
    return f"{_features_name(cache_folder() / 'features' / base)}: {kind}"


def _features_name(folder: Path) -> str:
    """The name of a base's folder of features, from the description that lies in it."""
    try:
        base = as_record(read_plain(folder / "base.json"), _BaseNames)
        fit = "" if base.fit == "squash" else f" {base.fit}"
        levels = "" if base.features == "last" else f", {base.features}"
        return f"features of {base.backbone}, {base.image_size} px{fit}, {base.pooling} pooling{levels}"
    except (OSError, DamagedRecord):
        return f"features {folder.name}"
