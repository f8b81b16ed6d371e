"""Puts a new run into the place of an old one when it is complete; until then the old one is whole where it was.

For the run `photos` the new one is trained in `.photos.headstart-new` beside it. The two change places in one step,
and the old one, then `.photos.headstart-old`, is deleted. `settle` ends what a kill left of that.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from models.errors import UserError
from pipelines.runs.layout import STATE_FOLDER, is_run
from pipelines.runs.ownership import contents_of, delete_empty_folders, delete_own, foreign_files
from pipelines.system.files import exchange
from pipelines.system.lock import LOCK_FILE, is_locked
from pipelines.system.text import name_list

NEW = re.compile(r"\.(?P<name>.+)\.headstart-new")


def place_beside(run: Path) -> Path:
    """The folder in which the replacement of a run is trained."""
    return run.with_name(f".{run.name}.headstart-new")


def places_of(run: Path) -> tuple[Path, Path, Path]:
    """Where a run lies, its replacement until it is complete, and for a moment the run that was replaced."""
    return run, place_beside(run), _aside(run)


def run_to_replace(folder: Path) -> Path | None:
    """The run whose replacement is trained in `folder`; None where `folder` is a run's own place."""
    match = NEW.fullmatch(folder.name)
    return folder.with_name(match["name"]) if match else None


def require_replaceable(run: Path) -> None:
    """Refuse to replace a run that holds other files, or whose folder cannot change its name.

    Raises:
        UserError: says what lies there, or why.
    """
    foreign = foreign_files(run)
    if foreign:
        raise UserError(
            f"`{run}` holds files that headstart did not write: {name_list(foreign)}",
            "move them away, or choose another --out",
        )
    if Path.cwd().is_relative_to(run.resolve()):
        raise UserError(f"`{run}` cannot be replaced: it is the folder you stand in", "leave it: `cd ..`")
    if os.path.ismount(run) or not os.access(run.resolve().parent, os.W_OK | os.X_OK):
        reason = "a disk is mounted there" if os.path.ismount(run) else "the folder above it cannot be written"
        raise UserError(f"`{run}` cannot be replaced: {reason}", "choose a new folder for --out")


def put_in_place(folder: Path, run: Path) -> None:
    """Give a complete run its place, and delete the run that was there; what others put into that one moves along."""
    aside = _aside(run)
    if not run.exists():
        folder.rename(run)
        return
    if exchange(folder, run):
        folder.rename(aside)
    else:
        run.rename(aside)
        try:
            folder.rename(run)
        except BaseException:
            aside.rename(run)
            raise
    _discard(aside, run)


def settle(run: Path) -> None:
    """End a replacement that was killed while it took the run's place; nothing happens while it is trained."""
    new, aside = place_beside(run), _aside(run)
    if is_locked(new) or is_locked(run):
        return
    if aside.is_dir():
        if not run.exists():
            (new if is_run(new) else aside).rename(run)
        if aside.is_dir() and is_run(run):
            _discard(aside, run)
    if not new.is_dir():
        return
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        # Someone deleted the old run: what was to replace it is the run now, complete or not.
        os.replace(new, run)
    elif is_run(new) and is_run(run) and not (new / STATE_FOLDER).exists():
        # The two have changed places: a replacement keeps its state until then.
        new.rename(aside)
        _discard(aside, run)


def _aside(run: Path) -> Path:
    return run.with_name(f".{run.name}.headstart-old")


def _discard(old: Path, run: Path) -> None:
    """Delete a run that was replaced; files of others that are in it move into the new one, if their place is free."""
    delete_own(old)
    (old / LOCK_FILE).unlink(missing_ok=True)
    contents = contents_of(old)
    for path in (*contents.system, *contents.foreign):
        place = run / path.relative_to(old)
        is_system = path in contents.system
        if is_system and (os.path.lexists(place) or not place.parent.is_dir()):
            path.unlink()
        elif not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
    delete_empty_folders(old)
    if not any(old.iterdir()):
        old.rmdir()
