"""Opens, completes and removes the folder of a run."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from models.errors import UserError
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.layout import MANIFEST_FILE, STATE_FOLDER, is_run, is_run_entry
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.runs.read_manifest import write_manifest
from pipelines.system.cache import transcoded_file
from pipelines.system.files import write_csv, write_json
from pipelines.system.records import as_record
from pipelines.system.text import name_list

SPEC_FILE = "spec.json"


def open_run(folder: str | Path, request: RunRequest, *, force: bool) -> tuple[Path, bool]:
    """Make or reopen the folder of a run that is to be trained.

    Args:
        folder: where the run goes.
        request: what is asked for; an interrupted training resumes only where it was asked for the same.
        force: replace what is there.

    Returns:
        The folder, and whether an interrupted training of the same request is in it.

    Raises:
        UserError: `folder` is a file, has other content, or is a run and `force` is not given.
    """
    path = Path(folder)
    spec_file = path / STATE_FOLDER / SPEC_FILE
    if not os.fspath(folder):
        raise UserError("--out is empty", "name a folder, such as `--out runs/photos`")
    file = next((parent for parent in path.parents if parent.is_file()), None)
    if file is not None:
        raise UserError(f"`{folder}` cannot be made: `{file}` is a file, not a folder", "choose another --out")
    if path.is_symlink() and not path.exists():
        raise UserError(f"`{folder}` is a link to a folder that does not exist", "make it, or choose another --out")
    if path.exists() and not path.is_dir():
        raise UserError(f"`{folder}` is a file, not a folder", "choose another --out")
    if path.is_dir() and not _holds_nothing(path):
        if not is_run(path) and not spec_file.is_file():
            raise UserError(
                f"`{folder}` is not empty and is not a headstart run", "choose a new or empty folder for --out"
            )
        if is_run(path) and not force:
            raise UserError(f"`{folder}` holds a complete run", "choose another --out, or replace it with --force")
        if not force:
            if _read_request(spec_file) == request:
                return path, True
            raise UserError(
                f"`{folder}` holds an interrupted training with other options",
                "type its command again to resume it, or replace it with --force",
            )
        remove_run(path)
    _begin_state(path, request)
    return path, False


def remove_run(folder: Path) -> None:
    """Delete what headstart wrote into a run's folder, the manifest first: what a kill leaves is no complete run.

    The folder itself stays, and so a link to it does.

    Raises:
        UserError: the folder holds other files too; nothing is deleted.
    """
    foreign = foreign_files(folder)
    if foreign:
        raise UserError(
            f"`{folder}` holds files that headstart did not write: {name_list(foreign)}",
            "move them away, or choose another --out",
        )
    (folder / MANIFEST_FILE).unlink(missing_ok=True)
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def foreign_files(folder: Path) -> list[str]:
    """What a run's folder holds that headstart does not write there: paths relative to it, sorted."""
    foreign = [entry.name for entry in folder.iterdir() if not is_run_entry(entry.name)]
    for member in folder.glob("members/*"):
        names = [entry.name for entry in member.iterdir()] if member.is_dir() else [""]
        foreign += [str(Path("members", member.name, name)) for name in names if not is_run_entry(name)]
    foreign += [f"backbones/{entry.name}" for entry in folder.glob("backbones/*") if entry.suffix != ".keras"]
    return sorted(foreign)


def _begin_state(folder: Path, request: RunRequest) -> None:
    """Make the state folder with its request by one rename: a kill leaves both or neither."""
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(f".{STATE_FOLDER}.*"):
        shutil.rmtree(unfinished)
    fresh = folder / f".{STATE_FOLDER}.{os.getpid()}"
    fresh.mkdir()
    write_json(fresh / SPEC_FILE, asdict(request))
    shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)
    fresh.rename(folder / STATE_FOLDER)


def _holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty but for a state that was killed before its request was written."""
    names = {entry.name for entry in folder.iterdir()}
    begun = {name for name in names if name == STATE_FOLDER or name.startswith(f".{STATE_FOLDER}.")}
    written = [entry for entry in folder.glob(f"{STATE_FOLDER}/*") if not entry.name.startswith(".")]
    return names == begun and not written


def finish_run(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the run complete; then delete the state."""
    write_manifest(folder, manifest)
    shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)


def write_split(folder: Path, dataset: Dataset) -> None:
    """Write `split.csv` (path, label, split, sha256) and, where images were left out, `skipped.csv`."""
    write_examples(folder, dataset.examples, dataset.class_names)
    if dataset.skipped:
        write_csv(folder / "skipped.csv", ("path", "reason"), ((image.path, image.reason) for image in dataset.skipped))


def write_examples(folder: Path, examples: Iterable[Example], class_names: Sequence[str]) -> None:
    """Write `split.csv` (path, label, split, sha256)."""
    rows = ((example.path, class_names[example.label], example.split, example.sha256) for example in examples)
    write_csv(folder / "split.csv", ("path", "label", "split", "sha256"), rows)


def read_split(folder: str | Path, class_names: tuple[str, ...]) -> tuple[Example, ...]:
    """The images that a run was trained and evaluated on, from its `split.csv`."""
    transcoded = {path.stem for path in transcoded_file("").parent.glob("*.png")}
    labels = {name: label for label, name in enumerate(class_names)}
    with open(Path(folder) / "split.csv", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return tuple(
            as_record(
                {
                    "path": row["path"],
                    "label": labels[row["label"]],
                    "split": row["split"],
                    "sha256": row["sha256"],
                    "source": str(transcoded_file(row["sha256"])) if row["sha256"] in transcoded else row["path"],
                },
                Example,
            )
            for row in csv.DictReader(stream)
        )


def _read_request(file: Path) -> RunRequest | None:
    """What an interrupted training was asked for, by this version or an older one; None where it cannot be read."""
    try:
        values = as_record(json.loads(file.read_text(encoding="utf-8")), dict)
        if not values.keys() & {field.name for field in fields(RunRequest)}:
            from pipelines.runs import schema_1

            values = schema_1.request(values)
        return as_record(values, RunRequest)
    except ValueError:  # not UTF-8, not JSON or not a request
        return None
