"""A run: what one training leaves on disk.

RUN/model.keras   pixels in [0, 255] -> probabilities
RUN/head.keras    in its place in a member that shares its backbone: features -> probabilities
RUN/run.json      the manifest, written last: a run is complete when it is there
RUN/split.csv     every image with its class, its part and its hash
RUN/history.csv   one line an epoch
RUN/curves.png    the same as a picture
RUN/answers.npz   what it answered on the images that judge it
RUN/skipped.csv   images left out, and why
RUN/state/        what an unfinished training needs to go on; gone when the run is complete
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from models.errors import UserError

SCHEMA = 1
MANIFEST_FILE, MODEL_FILE, HEAD_FILE, STATE_FOLDER = "run.json", "model.keras", "head.keras", "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a run without loading its model.

    Attributes:
        class_names: in the order of the model's outputs; fixed here, once.
        image_size: side of the square input, pixels.
        backbone: `name`, `weights` (where they came from), `parameters`; `file`, relative to the run, where it is
            shared with other members of an ensemble.
        head: `name`, `pooling` and what was chosen for it.
        spec: the options as given, defaults filled in.
        data: `root`, `origin`, images per part and class, how many were skipped, remarks.
        metrics: part -> report (see `pipelines.evaluation.metrics`).
        stages: one entry a training stage: what was trained, epochs, seconds, best validation loss.
        notes: what was done otherwise than asked or expected, in words.
        seconds: phase -> wall time in seconds.
        versions: of headstart, Python, Keras, TensorFlow, numpy.
        members: of an ensemble, one record each (see `pipelines.runs.leaderboard`); empty for a single model.
        schema: version of this file's layout.
    """

    class_names: tuple[str, ...]
    image_size: int
    backbone: dict[str, Any]
    head: dict[str, Any]
    spec: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    stages: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    members: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


def is_run(folder: str | Path) -> bool:
    """Whether `folder` holds a complete run."""
    return (Path(folder) / MANIFEST_FILE).is_file()


def read_manifest(folder: str | Path) -> Manifest:
    """Read a run's manifest; no Keras needed, a few milliseconds.

    Raises:
        UserError: there is no complete run in `folder`, or its manifest is damaged or of a later version.
    """
    path = Path(folder)
    manifest = path / MANIFEST_FILE
    if not path.is_dir():
        raise UserError(
            f"no run at `{folder}`: the folder does not exist", "train one with `headstart train DATA --out RUN`"
        )
    if not manifest.is_file():
        if (path / STATE_FOLDER).is_dir():
            raise UserError(
                f"the run `{folder}` is not complete: its training was interrupted",
                "type the same `headstart train` command again to go on",
            )
        raise UserError(
            f"`{folder}` is not a run: it has no `{MANIFEST_FILE}`", "a run is what `headstart train` writes to --out"
        )
    try:
        values = json.loads(manifest.read_text(encoding="utf-8"))
        known = {each.name for each in fields(Manifest)}
        if values["schema"] > SCHEMA:
            raise UserError(f"`{manifest}` was written by a later headstart", "upgrade headstart")
        values = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
        }
        found = Manifest(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"`{manifest}` is damaged: {type(error).__name__}", "train the run again with --force"
        ) from error
    for needed in model_files(path, found):
        if not needed.is_file():
            raise UserError(f"the run `{folder}` has no `{os.path.relpath(needed, path)}`", _absence(found))
    return found


def backbone_file(folder: Path, manifest: Manifest) -> Path:
    """The `.keras` file of a run that its backbone is in."""
    return model_files(folder, manifest)[0]


def model_files(folder: Path, manifest: Manifest) -> list[Path]:
    """The files of a run's model: the whole; or the backbone up to the features, where it is shared, and the head."""
    shared = manifest.backbone.get("file")
    return [folder / MODEL_FILE] if shared is None else [folder / shared, folder / HEAD_FILE]


def _absence(manifest: Manifest) -> str:
    if manifest.backbone.get("file") is None:
        return "train the run again with --force"
    return "a member shares its backbone with the others: leave it in the folder of its ensemble"
