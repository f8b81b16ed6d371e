"""Loads and saves the Keras model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError, first_line
from models.model_file import read_model, write_model
from pipelines.runs.layout import HEAD_FILE, MODEL_FILE
from pipelines.runs.manifest import Manifest
from pipelines.runs.read_manifest import model_files, read_manifest
from pipelines.system.files import atomic
from pipelines.system.temporary import temporary_folder

if TYPE_CHECKING:
    import keras

_HINT = "train the run again with --force"


def load_run(folder: str | Path, bases: dict[Path, keras.Model] | None = None) -> tuple[keras.Model, Manifest]:
    """Load a run: its model, pixels (batch, size, size, 3) in [0, 255] -> probabilities, and its manifest.

    Args:
        folder: of the run.
        bases: models that were loaded before, by their file: members that share a backbone share the object.

    Raises:
        UserError: as `read_manifest`; or the model's file cannot be read, or is not that of the manifest.
    """
    manifest = read_manifest(folder)
    files = model_files(Path(folder), manifest)
    first, *others = [_read_shared(file, bases) for file in files]
    model = _under_head(files, first, others[0]) if others else first
    _require_fit(files[-1], model, manifest)
    return model, manifest


def save_model(model: keras.Model, folder: Path) -> None:
    """Write `model.keras` atomically."""
    save_keras(model, folder / MODEL_FILE)


def save_keras(model: keras.Model, file: Path) -> None:
    """Write a `.keras` file atomically; what a kill leaves of it is swept by the next one that is written."""
    with temporary_folder("headstart-save-") as folder, atomic(file, suffix=".keras") as temporary:
        write_model(model, temporary, folder)


def _read_shared(file: Path, bases: dict[Path, keras.Model] | None) -> keras.Model:
    if bases is None or file.name == HEAD_FILE:
        return read_model(file, _HINT)
    path = file.resolve()
    if path not in bases:
        bases[path] = read_model(file, _HINT)
    return bases[path]


def _under_head(files: list[Path], base: keras.Model, head: keras.Model) -> keras.Model:
    """The model of a member: its shared backbone, then its head."""
    import keras

    try:
        return keras.Model(base.inputs[0], head(base.outputs[0]), name="headstart")
    except Exception as error:  # Keras raises several types for layers that do not fit, and models without a graph.
        message = f"`{files[1]}` does not fit `{files[0]}`: {first_line(error)}"
        raise UserError(message, _HINT) from error


def _require_fit(file: Path, model: keras.Model, manifest: Manifest) -> None:
    """Refuse a model that is not the one that the manifest describes: another one was copied over it."""
    size, num_classes = manifest.image_size, len(manifest.class_names)
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if shapes != ((None, size, size, 3), (None, num_classes)):
        raise UserError(
            f"`{file}` is not the model of its run: it maps {shapes[0]} to {shapes[1]}, and run.json has images of "
            f"{size} x {size} pixels and {num_classes} classes",
            _HINT,
        )
    needed = {name for base in manifest.bases for name in (base.backbone_layer, base.pooling_layer)}
    needed |= {"members"} if manifest.order else set()
    if not manifest.members and manifest.backbone.weights_sha256 is not None:
        needed |= {"backbone", "pooling"}
    if missing := sorted(needed - {layer.name for layer in model.layers}):
        raise UserError(f"`{file}` is not the model of its run: it has no layer `{missing[0]}`", _HINT)
