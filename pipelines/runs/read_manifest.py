"""Reads and writes the manifest of a run; no Keras needed, a few milliseconds."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.runs.layout import HEAD_FILE, MANIFEST_FILE, MODEL_FILE, require_run
from pipelines.runs.ranges import PositiveInt
from pipelines.system.files import write_json
from pipelines.system.records import DamagedRecord, as_record, read_plain

if TYPE_CHECKING:
    from pipelines.runs.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    schema: PositiveInt


def read_manifest(folder: str | Path) -> Manifest:
    """Read a run's manifest, of this version's layout or an older one.

    Raises:
        UserError: `folder` holds no complete run, or its manifest is damaged or of a later version.
    """
    require_run(folder)
    path = Path(folder)
    manifest = _parse(path / MANIFEST_FILE)
    for needed in model_files(path, manifest):
        if not needed.is_file():
            raise UserError(f"the run `{folder}` has no `{os.path.relpath(needed, path)}`", _absence(manifest))
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `run.json` atomically.

    Raises:
        ValueError: a number in it is not finite.
    """
    write_json(folder / MANIFEST_FILE, asdict(manifest))


def backbone_file(folder: Path, manifest: Manifest) -> Path:
    """The `.keras` file of a run that its backbone is in."""
    return model_files(folder, manifest)[0]


def model_files(folder: Path, manifest: Manifest) -> list[Path]:
    """The files of a run's model: the whole; or the backbone up to the features, where it is shared, and the head."""
    shared = manifest.backbone.file
    return [folder / MODEL_FILE] if shared is None else [folder / shared, folder / HEAD_FILE]


def _parse(file: Path) -> Manifest:
    from pipelines.runs.manifest import SCHEMA, Manifest  # many records: only for a folder that holds a run

    hint = "train the run again with --force"
    try:
        values = read_plain(file)
        schema = as_record(values, _Schema).schema
        if schema > SCHEMA:
            raise UserError(f"`{file}` was written by a later headstart", "upgrade headstart")
        if schema < SCHEMA:
            from pipelines.runs import schema_1

            values = schema_1.upgraded(values)
        return as_record(values, Manifest)
    except DamagedRecord as error:
        raise UserError(f"`{file}` is damaged: {error}", hint) from error


def _absence(manifest: Manifest) -> str:
    if manifest.backbone.file is None:
        return "train the run again with --force"
    return "a member shares its backbone with the others: leave it in the folder of its ensemble"
