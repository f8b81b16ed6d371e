"""Tells what headstart wrote into a run's folder from what it did not, and deletes only the first.

A name alone proves little where other programs use it too: a folder `state` must hold a request of headstart, one
`tensorboard` the events that the run's own record asked for.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipelines.runs.layout import (
    GROUP_COLUMN,
    MANIFEST_FILE,
    NEAR_DUPLICATE_COLUMN,
    RUN_FILES,
    SPEC_FILE,
    SPLIT_COLUMNS,
    SPLIT_FILE,
    STATE_FOLDER,
)
from pipelines.system.lock import LOCK_FILE

# What file managers of macOS, Windows and KDE leave in any folder that they show.
SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})
OPTIONAL_COLUMNS = ((), (GROUP_COLUMN,), (NEAR_DUPLICATE_COLUMN,), (GROUP_COLUMN, NEAR_DUPLICATE_COLUMN))
SPLIT_HEADERS = tuple(",".join((*SPLIT_COLUMNS, *columns)).encode() for columns in OPTIONAL_COLUMNS)
# A temporary file of `pipelines.system.files.atomic`, and a state that was killed before it had its name.
TEMPORARY_FILE = re.compile(rf"\.({'|'.join(map(re.escape, sorted(RUN_FILES)))})\.\w+(\.\w+)?")
TEMPORARY_STATE = re.compile(rf"\.{STATE_FOLDER}\.\d+")
REQUESTS = frozenset({"train", "members", "ensemble"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What lies in a run's folder.

    Attributes:
        own: files and whole folders that headstart wrote.
        system: files that a file manager wrote.
        foreign: all others.
    """

    own: tuple[Path, ...]
    system: tuple[Path, ...]
    foreign: tuple[Path, ...]


def contents_of(folder: Path) -> Contents:
    """Divide everything in a run's folder, and in those of its members, by who wrote it; a link is foreign."""
    own: list[Path] = []
    others: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink():
            others.append(entry)
        elif not entry.is_dir():
            is_own = entry.name in RUN_FILES or entry.name == LOCK_FILE or TEMPORARY_FILE.fullmatch(entry.name)
            (own if is_own else others).append(entry)
        elif entry.name == "members":
            for member in sorted(entry.iterdir()):
                if member.is_symlink() or not member.is_dir():
                    others.append(member)
                    continue
                contents = contents_of(member)
                own += contents.own
                others += [*contents.system, *contents.foreign]
        elif entry.name == "backbones":
            for file in sorted(entry.iterdir()):
                (own if file.suffix == ".keras" and _is_plain_file(file) else others).append(file)
        elif entry.name == "tensorboard":
            was_asked_for = _asked_for_events(folder)
            files = [path for path in sorted(entry.rglob("*")) if path.is_symlink() or not path.is_dir()]
            for file in files:
                (own if was_asked_for and _is_event_file(file, folder) else others).append(file)
        elif TEMPORARY_STATE.fullmatch(entry.name) or (entry.name == STATE_FOLDER and _is_state(entry)):
            own.append(entry)
        else:
            others.append(entry)
    system = [path for path in others if _is_system_file(path)]
    return Contents(own=tuple(own), system=tuple(system), foreign=tuple(path for path in others if path not in system))


def foreign_files(folder: Path) -> list[str]:
    """What a run's folder holds that neither headstart nor a file manager wrote: paths relative to it, sorted."""
    return sorted(str(path.relative_to(folder)) for path in contents_of(folder).foreign)


def is_proven(folder: Path) -> bool:
    """Whether headstart wrote the `run.json` or the `state` of a folder; where they are damaged, its `split.csv`."""
    values = _read_object(folder / MANIFEST_FILE)
    if {"class_names", "backbone", "spec"} <= values.keys() or _is_request(folder / STATE_FOLDER / SPEC_FILE):
        return True
    try:
        with open(folder / SPLIT_FILE, "rb") as stream:
            return not values and stream.readline().strip() in SPLIT_HEADERS
    except OSError:
        return False


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty but for what a file manager wrote and a state that never got its request."""
    contents = contents_of(folder)
    names = {path.name for path in contents.own if not TEMPORARY_STATE.fullmatch(path.name)}
    is_begun = (folder / STATE_FOLDER / SPEC_FILE).exists()
    return not contents.foreign and names <= {LOCK_FILE, STATE_FOLDER} and not is_begun


def delete_own(folder: Path) -> None:
    """Delete what headstart wrote into a run's folder, what proves it last; the folder and everything else stay."""
    proofs = (folder / SPLIT_FILE, folder / STATE_FOLDER, folder / MANIFEST_FILE)
    own = contents_of(folder).own
    for path in (*(path for path in own if path not in proofs), *(path for path in proofs if path in own)):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK_FILE:
            path.unlink(missing_ok=True)
    delete_empty_folders(folder)


def delete_temporaries(folder: Path) -> None:
    """Delete the temporary files and folders that a killed training left in a run; the caller holds its lock."""
    left = [path for path in folder.iterdir() if TEMPORARY_FILE.fullmatch(path.name) and _is_plain_file(path)]
    left += [path for path in folder.glob(f"{STATE_FOLDER}/.*.*") if _is_plain_file(path)]
    left += [path for path in folder.glob("backbones/.*.keras") if _is_plain_file(path)]
    for path in left:
        if not _is_system_file(path):
            path.unlink(missing_ok=True)
    for path in folder.iterdir():
        if TEMPORARY_STATE.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def delete_empty_folders(folder: Path) -> None:
    """Delete the folders of members, backbones and events that hold no file."""
    for name in ("members", "backbones", "tensorboard"):
        for path in sorted([folder / name, *(folder / name).rglob("*")], reverse=True):
            if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()


def _is_state(folder: Path) -> bool:
    """Whether a folder is the state of a training: it has a request, or nothing but the beginning of one."""
    if (folder / SPEC_FILE).exists():
        return _is_request(folder / SPEC_FILE)
    return all(path.name.startswith(f".{SPEC_FILE}.") or _is_system_file(path) for path in folder.iterdir())


def _is_request(file: Path) -> bool:
    """Whether a file is what an interrupted training was asked for, by this version or an older one."""
    names = _read_object(file).keys()
    # Schema 1 had no record around the options.
    is_old = "common" in names or {"data", "out"} <= names or {"runs", "out"} <= names
    return is_old or bool(names and names <= REQUESTS)


def _is_event_file(file: Path, run: Path) -> bool:
    """Whether a file below `tensorboard` has the place and the name of one that a training writes."""
    parts = file.relative_to(run).parts
    is_in_place = len(parts) == 3 and parts[1] in ("training", "validation") and _is_plain_file(file)
    return is_in_place and parts[2].startswith("events.out.tfevents.")


def _asked_for_events(run: Path) -> bool:
    """Whether the training of a run was asked to write events."""
    asked = [_read_object(run / MANIFEST_FILE).get("spec"), _read_object(run / STATE_FOLDER / SPEC_FILE)]
    return any(map(_asks_for_events, asked))


def _asks_for_events(values: object) -> bool:
    if not isinstance(values, dict):
        return False
    return values.get("tensorboard") is True or any(map(_asks_for_events, values.values()))


def _read_object(file: Path) -> dict[str, object]:
    """The JSON object in a file; an empty one where there is none."""
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_system_file(path: Path) -> bool:
    return (path.name in SYSTEM_FILES or path.name.startswith("._")) and _is_plain_file(path)
