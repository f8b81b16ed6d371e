"""Opens the folder of a demo, and lets an earlier demo in it be replaced, but no file that a demo did not write."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from models.errors import UserError
from models.machine_errors import full_disk
from pipelines.demonstration.letters import list_letters
from pipelines.runs.ownership import SYSTEM_FILES, foreign_files, holds_nothing, is_proven
from pipelines.runs.replacement import places_of
from pipelines.system.lock import is_locked, lock_folder
from pipelines.system.text import name_list

IMAGES, RUNS_FOLDER, EXPORTED, PICTURE = "images", "runs", "exported", "demo.png"
RUNS = ("latin", "greek", "greek-from-scratch")
# Of the demo before this one, which learned digits.
OLD_RUNS = ("zero-to-four", "five-to-nine", "five-to-nine-from-scratch")
OLD_IMAGES = "digits"
_DIGITS = "zero|one|two|three|four|five|six|seven|eight|nine"
# What a demo writes besides its runs and images, relative to its folder; a kill may leave a part of its picture.
_TEMPORARY_PICTURE = re.compile(rf"\.{re.escape(PICTURE)}\.\w+\.png")
_FOLDER = re.compile(
    rf"{RUNS_FOLDER}|{EXPORTED}(/\d+(/assets|/variables)?|/\.export-\w+(/.+)?)?"
    rf"|{OLD_IMAGES}(/zero-to-four|/five-to-nine(/train|/validation|/test)?)?(/({_DIGITS}))?"
)
_FILE = re.compile(
    rf"{re.escape(PICTURE)}|{_TEMPORARY_PICTURE.pattern}"
    rf"|{EXPORTED}/(\d+/(saved_model\.pb|fingerprint\.pb|variables/variables\.[\w.-]+)|\.export-\w+/.+)"
    rf"|{OLD_IMAGES}/(zero-to-four|five-to-nine/(train|validation|test))/({_DIGITS})/digit-\d{{4}}\.png"
)


def open_folder(folder: Path, *, force: bool) -> Path:
    """Make the demo's folder, or check that an earlier demo in it may be replaced piece by piece.

    The runs' records name the images' folder, so that the demo is not made elsewhere and moved: each run is replaced
    when its new one is complete, as `train --force` does, and the images are the same ones in every demo.

    Raises:
        UserError: something is there and `force` is not given, or files lie there that no demo wrote.
    """
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise UserError(
                f"`{folder}` is there already", "choose another --out, or replace an earlier demo with --force"
            )
        foreign = sorted(str(path.relative_to(folder)) for path in _foreign_files(folder))
        if foreign:
            raise UserError(
                f"`{folder}` holds files that the demo did not write: {name_list(foreign)}",
                "move them away, or choose another --out",
            )
        for place in _run_places(folder):
            if is_locked(place):
                lock_folder(place)  # refuses it, and names its owner
        for path in folder.iterdir():
            if _TEMPORARY_PICTURE.fullmatch(path.name):
                path.unlink()
    try:
        (folder / RUNS_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise full_disk(error, folder) or UserError(
            f"`{folder}` cannot be written: {error.strerror}", "choose another --out"
        ) from error
    return folder


def delete_old_demo(folder: Path) -> None:
    """Delete the images and runs of the demo that learned digits; `open_folder` has found nothing else among them."""
    if (folder / OLD_IMAGES).is_dir():
        shutil.rmtree(folder / OLD_IMAGES)
    for name in OLD_RUNS:
        for place in places_of(folder / RUNS_FOLDER / name):
            if place.is_dir() and not foreign_files(place):
                shutil.rmtree(place)


def _run_places(folder: Path) -> list[Path]:
    return [place for name in (*RUNS, *OLD_RUNS) for place in places_of(folder / RUNS_FOLDER / name)]


def _foreign_files(folder: Path) -> Iterator[Path]:
    """What lies in the folder of a demo that neither a demo nor a file manager wrote."""
    runs = _run_places(folder)
    images = {Path(IMAGES, letter.path) for letter in list_letters()}
    image_folders = {above for image in images for above in image.parents}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if any(path.is_relative_to(run) for run in runs) or (path.name in SYSTEM_FILES and path.is_file()):
            continue
        known, pattern = (image_folders, _FOLDER) if path.is_dir() else (images, _FILE)
        if path.is_symlink() or not (name in known or pattern.fullmatch(name.as_posix())):
            yield path
    for run in runs:
        if run.is_symlink() or (run.exists() and not run.is_dir()):
            yield run
        elif run.is_dir() and not holds_nothing(run):
            yield from (run / name for name in foreign_files(run)) if is_proven(run) else [run]
