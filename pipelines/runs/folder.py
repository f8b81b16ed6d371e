"""Opens, completes and removes the folder of a run."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.errors import UserError
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.manifest import MANIFEST_FILE, STATE_FOLDER, Manifest, is_run
from pipelines.system.files import write_csv, write_json


def open_run(folder: str | Path, spec: dict[str, Any], *, force: bool) -> tuple[Path, bool]:
    """Make or reopen the folder of a run that is to be trained.

    Args:
        folder: where the run goes.
        spec: what is asked for; a state on disk is only continued when it was begun with the same.
        force: replace what is there.

    Returns:
        The folder, and whether an interrupted training of the same spec is in it.

    Raises:
        UserError: something else is there, and `force` is not given.
    """
    path = Path(folder)
    asked = path / STATE_FOLDER / "spec.json"
    if path.exists() and not path.is_dir():
        raise UserError(f"`{folder}` is a file, not a folder", "choose another --out")
    ours = is_run(path) or asked.is_file()
    if path.is_dir() and any(path.iterdir()):
        if not ours:
            raise UserError(f"`{folder}` holds other files", "choose a new or empty folder for --out")
        if is_run(path) and not force:
            raise UserError(f"`{folder}` holds a complete run", "choose another --out, or replace it with --force")
        if not force:
            if json.loads(asked.read_text(encoding="utf-8")) == json.loads(json.dumps(spec)):
                return path, True
            raise UserError(
                f"`{folder}` holds an interrupted training with other options",
                "type its command again to go on, or replace it with --force",
            )
        remove_run(path)
    (path / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    write_json(asked, spec)
    return path, False


def remove_run(folder: Path) -> None:
    """Delete a run, its manifest first: what a kill leaves is never taken for a complete run."""
    (folder / MANIFEST_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def finish_run(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the run complete; then drop the state."""
    write_json(folder / MANIFEST_FILE, asdict(manifest))
    shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)


def write_split(folder: Path, dataset: Dataset) -> None:
    """Write `split.csv` (path, label, split, sha256) and, where images were left out, `skipped.csv`."""
    rows = ((each.path, dataset.class_names[each.label], each.split, each.sha256) for each in dataset.examples)
    write_csv(folder / "split.csv", ("path", "label", "split", "sha256"), rows)
    if dataset.skipped:
        write_csv(folder / "skipped.csv", ("path", "reason"), ((each.path, each.reason) for each in dataset.skipped))


def read_split(folder: str | Path, class_names: tuple[str, ...]) -> tuple[Example, ...]:
    """The images that a run was trained and judged on, from its `split.csv`."""
    from pipelines.system.cache import transcoded_file

    kept = {path.stem for path in transcoded_file("").parent.glob("*.png")}
    numbers = {name: number for number, name in enumerate(class_names)}
    with open(Path(folder) / "split.csv", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return tuple(
            Example(
                path=row["path"],
                label=numbers[row["label"]],
                split=row["split"],  # type: ignore[arg-type]
                sha256=row["sha256"],
                source=str(transcoded_file(row["sha256"])) if row["sha256"] in kept else row["path"],
            )
            for row in csv.DictReader(stream)
        )
