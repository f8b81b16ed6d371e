"""Loads and saves the Keras model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError, first_line
from pipelines.runs.layout import HEAD_FILE, MODEL_FILE
from pipelines.runs.manifest import Manifest
from pipelines.runs.read_manifest import model_files, read_manifest
from pipelines.system.files import atomic

if TYPE_CHECKING:
    import keras


def load_run(folder: str | Path, bases: dict[Path, keras.Model] | None = None) -> tuple[keras.Model, Manifest]:
    """Load a run: its model, pixels (batch, size, size, 3) in [0, 255] -> probabilities, and its manifest.

    Args:
        folder: of the run.
        bases: models that were loaded before, by their file: members that share a backbone share the object.

    Raises:
        UserError: as `read`, or the model's file cannot be read.
    """
    manifest = read_manifest(folder)
    import keras

    def read_model(path: Path) -> keras.Model:
        if bases is not None and path.resolve() in bases:
            return bases[path.resolve()]
        try:
            model = keras.models.load_model(path, compile=False)
        except (ValueError, OSError, KeyError) as error:
            message = f"`{path}` cannot be loaded: {first_line(error)}"
            raise UserError(message, "train the run again with --force") from error
        if bases is not None and path.name != HEAD_FILE:
            bases[path.resolve()] = model
        return model

    first, *others = [read_model(path) for path in model_files(Path(folder), manifest)]
    if not others:
        return first, manifest
    return keras.Model(first.inputs[0], others[0](first.outputs[0]), name="headstart"), manifest


def save_model(model: keras.Model, folder: Path) -> None:
    """Write `model.keras` atomically."""
    with atomic(folder / MODEL_FILE, suffix=".keras") as temporary:
        model.save(temporary)
