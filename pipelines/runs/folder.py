"""Opens, completes and removes the folder of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeAlias

from models.errors import UserError
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.layout import (
    FORCED_FILE,
    GROUP_COLUMN,
    MANIFEST_FILE,
    NEAR_DUPLICATE_COLUMN,
    SPEC_FILE,
    SPLIT_FILE,
    STATE_FOLDER,
    is_run,
)
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.runs.ownership import delete_own, delete_temporaries, holds_nothing, is_proven
from pipelines.runs.read_manifest import write_manifest
from pipelines.runs.replacement import place_beside, put_in_place, require_replaceable, run_to_replace, settle
from pipelines.system.files import write_csv, write_json
from pipelines.system.lock import LOCK_FILE, is_locked, lock_folder, unlock_folder
from pipelines.system.progress import Reporter
from pipelines.system.records import DamagedRecord, as_record, read_plain

# Draws the page of a run: the folder that it lies in, its manifest.
DrawPage: TypeAlias = Callable[[Path, Manifest], None]


def open_run(
    folder: str | Path, request: RunRequest, *, force: bool, reporter: Reporter | None = None
) -> tuple[Path, bool]:
    """Make or reopen the folder in which a run is to be trained, and lock it until the run is complete.

    Args:
        folder: where the run goes.
        request: what is asked for; an interrupted training resumes only where it was asked for the same.
        force: replace what is there. A complete run stays until `finish_run`: the new one is trained beside it. An
            interrupted training is resumed where it began with `force` too, else it is deleted.
        reporter: warns where the file system has no locks, notes what is deleted.

    Returns:
        The folder to train in, and whether an interrupted training of the same request is in it.

    Raises:
        UserError: `folder` is a file, has other content, is a run and `force` is not given, or another process
            trains into it.
    """
    run = place_of_run(folder)
    for place in (run, place_beside(run)):
        if is_locked(place):
            lock_folder(place)  # refuses it where it is another process that holds it
    settle(run)
    if run.is_dir() and not holds_nothing(run):
        if not is_proven(run):
            raise UserError(
                f"`{folder}` is not empty and is not a headstart run", "choose a new or empty folder for --out"
            )
        if is_run(run) and not force:
            sweep_run(run)
            raise UserError(f"`{folder}` holds a complete run", "choose another --out, or replace it with --force")
        if force:
            require_replaceable(run)
    place = place_beside(run) if is_run(run) else run
    place.mkdir(parents=True, exist_ok=True)
    if not lock_folder(place) and reporter is not None:
        reporter.warn(f"the disk of `{folder}` has no locks: nothing keeps a second training out of it")
    return place, _begin_or_resume(place, folder, request, force=force, reporter=reporter)


def place_of_run(folder: str | Path) -> Path:
    """Where the run goes, behind a link.

    Raises:
        UserError: no folder can be there.
    """
    path = Path(folder)
    if not os.fspath(folder):
        raise UserError("--out is empty", "name a folder, such as `--out runs/photos`")
    file = next((parent for parent in path.parents if parent.is_file()), None)
    if file is not None:
        raise UserError(f"`{folder}` cannot be made: `{file}` is a file, not a folder", "choose another --out")
    if path.is_symlink() and not path.exists():
        raise UserError(f"`{folder}` is a link to a folder that does not exist", "make it, or choose another --out")
    if path.exists() and not path.is_dir():
        raise UserError(f"`{folder}` is a file, not a folder", "choose another --out")
    return path.resolve() if path.is_symlink() or path.name in ("", "..") else path


def _begin_or_resume(
    place: Path, folder: str | Path, request: RunRequest, *, force: bool, reporter: Reporter | None
) -> bool:
    """Begin a training in a folder that is locked; return whether one of the same request is resumed instead."""
    delete_temporaries(place)
    if not holds_nothing(place):
        is_same = read_request(place / STATE_FOLDER / SPEC_FILE) == request
        if is_same and (not force or _was_forced(place)):
            # A replacement that was killed before it took its place is scored and written again.
            (place / MANIFEST_FILE).unlink(missing_ok=True)
            return True
        if not force:
            unlock_folder(place)
            raise UserError(
                f"`{folder}` holds an interrupted training with other options",
                "type its command again to resume it, or replace it with --force",
            )
        if reporter is not None:
            reporter.note(f"replacing the interrupted training in `{folder}`: this one begins anew")
    begin_anew(place, request, force=force)
    return False


def begin_anew(place: Path, request: RunRequest, *, force: bool) -> None:
    """Delete what an interrupted training left in a folder that is locked, and begin one.

    Raises:
        UserError: it holds files of others.
    """
    if not holds_nothing(place):
        require_replaceable(place)
        (place / MANIFEST_FILE).unlink(missing_ok=True)
        delete_own(place)
    _begin_state(place, request, force=force)


def _was_forced(place: Path) -> bool:
    """Whether an interrupted training began with --force: the same command resumes it, though it says --force."""
    return run_to_replace(place) is not None or (place / STATE_FOLDER / FORCED_FILE).exists()


def _begin_state(folder: Path, request: RunRequest, *, force: bool) -> None:
    """Make the state folder with its request by one rename: a kill leaves both or neither."""
    fresh = folder / f".{STATE_FOLDER}.{os.getpid()}"
    fresh.mkdir()
    write_json(fresh / SPEC_FILE, asdict(request))
    if force:
        (fresh / FORCED_FILE).touch()
    shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)
    fresh.rename(folder / STATE_FOLDER)


def finish_run(folder: Path, manifest: Manifest, *, draw: DrawPage | None = None) -> None:
    """Write the manifest, which makes the run complete; put it into its place, delete the state and free the lock.

    Args:
        folder: of the run.
        manifest: of it.
        draw: draws its page, before it is complete: a run that is killed in between is resumed. None for no page.
    """
    if draw is not None:
        draw(folder, manifest)
    write_manifest(folder, manifest)
    run = run_to_replace(folder)
    if run is not None:
        put_in_place(folder, run)
        folder = run
    _delete_state(folder)
    unlock_folder(folder)


def sweep_run(folder: Path) -> None:
    """Delete the state, the lock and the temporary files of a complete run whose process was killed at its very end.

    Raises:
        UserError: another process is at work in it.
    """
    request = folder / STATE_FOLDER / SPEC_FILE
    is_state = request.is_file() and read_request(request) is not None
    if not is_state and not (folder / LOCK_FILE).exists():
        return
    lock_folder(folder)
    delete_temporaries(folder)
    if is_state:
        _delete_state(folder)
    unlock_folder(folder)


def _delete_state(folder: Path) -> None:
    if (folder / STATE_FOLDER).is_dir():
        # By its request a state is known: without it, a kill would leave a folder that may be anyone's.
        doomed = folder / f".{STATE_FOLDER}.{os.getpid()}"
        (folder / STATE_FOLDER).rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def write_split(folder: Path, dataset: Dataset) -> None:
    """Write `split.csv` and, where images were left out, `skipped.csv`."""
    write_examples(folder, dataset.examples, dataset.class_names)
    if dataset.skipped:
        write_csv(folder / "skipped.csv", ("path", "reason"), ((image.path, image.reason) for image in dataset.skipped))


def write_examples(folder: Path, examples: Sequence[Example], class_names: Sequence[str]) -> None:
    """Write `split.csv` (path, label, split, sha256 and, where an image has one, group and near_duplicate)."""
    columns: dict[str, Sequence[str]] = {
        "path": [image.path for image in examples],
        "label": [class_names[image.label] for image in examples],
        "split": [image.split for image in examples],
        "sha256": [image.sha256 for image in examples],
    }
    optional = {
        GROUP_COLUMN: [image.group or "" for image in examples],
        NEAR_DUPLICATE_COLUMN: [image.near_duplicate or "" for image in examples],
    }
    columns |= {name: values for name, values in optional.items() if any(values)}
    write_csv(folder / SPLIT_FILE, tuple(columns), list(zip(*columns.values(), strict=True)))


def read_request(file: Path) -> RunRequest | None:
    """What an interrupted training was asked for, by this version or an older one; None where it cannot be read."""
    try:
        values = as_record(read_plain(file), dict)
        if not values.keys() & {field.name for field in fields(RunRequest)}:
            from pipelines.runs import schema_1

            values = schema_1.request(values)
        return as_record(values, RunRequest)
    except DamagedRecord:
        return None
