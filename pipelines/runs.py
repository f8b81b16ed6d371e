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

import csv
import json
import os
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from pipelines.files import atomic as atomic
from pipelines.files import write_csv as write_csv
from pipelines.files import write_json as write_json
from pipelines.specs import Dataset, Example

if TYPE_CHECKING:
    import keras

SCHEMA = 1
MANIFEST, MODEL, HEAD, STATE = "run.json", "model.keras", "head.keras", "state"


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
        metrics: part -> report (see `pipelines.metrics`).
        stages: one entry a training stage: what was trained, epochs, seconds, best validation loss.
        notes: what was done otherwise than asked or expected, in words.
        seconds: phase -> wall time in seconds.
        versions: of headstart, Python, Keras, TensorFlow, numpy.
        members: of an ensemble, one record each (see `pipelines.leaderboard`); empty for a single model.
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
    return (Path(folder) / MANIFEST).is_file()


def read(folder: str | Path) -> Manifest:
    """Read a run's manifest; no Keras needed, a few milliseconds.

    Raises:
        UserError: there is no complete run in `folder`, or its manifest is damaged or of a later version.
    """
    path = Path(folder)
    manifest = path / MANIFEST
    if not path.is_dir():
        raise UserError(
            f"no run at `{folder}`: the folder does not exist", "train one with `headstart train DATA --out RUN`"
        )
    if not manifest.is_file():
        if (path / STATE).is_dir():
            raise UserError(
                f"the run `{folder}` is not complete: its training was interrupted",
                "type the same `headstart train` command again to go on",
            )
        raise UserError(
            f"`{folder}` is not a run: it has no `{MANIFEST}`", "a run is what `headstart train` writes to --out"
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


def load(folder: str | Path, bases: dict[Path, keras.Model] | None = None) -> tuple[keras.Model, Manifest]:
    """Load a run: its model, pixels (batch, size, size, 3) in [0, 255] -> probabilities, and its manifest.

    Args:
        folder: of the run.
        bases: models that were loaded before, by their file: members that share a backbone share the object.

    Raises:
        UserError: as `read`, or the model's file cannot be read.
    """
    manifest = read(folder)
    import keras

    def read_model(path: Path) -> keras.Model:
        if bases is not None and path.resolve() in bases:
            return bases[path.resolve()]
        try:
            model = keras.models.load_model(path, compile=False)
        except (ValueError, OSError, KeyError) as error:
            message = f"`{path}` cannot be loaded: {_first_line(error)}"
            raise UserError(message, "train the run again with --force") from error
        if bases is not None and path.name != HEAD:
            bases[path.resolve()] = model
        return model

    first, *others = [read_model(path) for path in model_files(Path(folder), manifest)]
    if not others:
        return first, manifest
    return keras.Model(first.inputs[0], others[0](first.outputs[0]), name="headstart"), manifest


def backbone_file(folder: Path, manifest: Manifest) -> Path:
    """The `.keras` file of a run that its backbone is in."""
    return model_files(folder, manifest)[0]


def model_files(folder: Path, manifest: Manifest) -> list[Path]:
    """The files of a run's model: the whole; or the backbone up to the features, where it is shared, and the head."""
    shared = manifest.backbone.get("file")
    return [folder / MODEL] if shared is None else [folder / shared, folder / HEAD]


def _absence(manifest: Manifest) -> str:
    if manifest.backbone.get("file") is None:
        return "train the run again with --force"
    return "a member shares its backbone with the others: leave it in the folder of its ensemble"


def open_new(folder: str | Path, spec: dict[str, Any], *, force: bool) -> tuple[Path, bool]:
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
    asked = path / STATE / "spec.json"
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
        remove(path)
    (path / STATE).mkdir(parents=True, exist_ok=True)
    write_json(asked, spec)
    return path, False


def remove(folder: Path) -> None:
    """Delete a run, its manifest first: what a kill leaves is never taken for a complete run."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)


def finish(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the run complete; then drop the state."""
    write_json(folder / MANIFEST, asdict(manifest))
    shutil.rmtree(folder / STATE, ignore_errors=True)


def save_model(model: keras.Model, folder: Path) -> None:
    """Write `model.keras` atomically."""
    with atomic(folder / MODEL, suffix=".keras") as temporary:
        model.save(temporary)


def write_split(folder: Path, dataset: Dataset) -> None:
    """Write `split.csv` (path, label, split, sha256) and, where images were left out, `skipped.csv`."""
    rows = ((each.path, dataset.class_names[each.label], each.split, each.sha256) for each in dataset.examples)
    write_csv(folder / "split.csv", ("path", "label", "split", "sha256"), rows)
    if dataset.skipped:
        write_csv(folder / "skipped.csv", ("path", "reason"), ((each.path, each.reason) for each in dataset.skipped))


def read_split(folder: str | Path, class_names: tuple[str, ...]) -> tuple[Example, ...]:
    """The images that a run was trained and judged on, from its `split.csv`."""
    from pipelines.check import transcoded_file

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


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
