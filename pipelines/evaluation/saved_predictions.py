"""What a run answered on the images that judge it, kept beside it so that runs can be compared image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from pipelines.runs.examples import Example
from pipelines.system.files import atomic

FILE = "answers.npz"
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPredictions:
    """A run's answers on one part.

    Attributes:
        sha256: (images,) of each image's content, as bytes.
        labels: (images,) right classes.
        probabilities: (images, classes).
    """

    sha256: NDArray[np.bytes_]
    labels: NDArray[np.int32]
    probabilities: Floats


def save_predictions(
    folder: Path, parts: Mapping[str, tuple[Floats, NDArray[np.int32]]], examples: Mapping[str, Sequence[Example]]
) -> None:
    """Write `answers.npz`.

    Args:
        folder: of the run.
        parts: part -> probabilities (images, classes) and labels (images,).
        examples: part -> its images, in the same order.
    """
    arrays = {}
    for part, (probabilities, labels) in parts.items():
        arrays[f"{part}/sha256"] = np.array([each.sha256 for each in examples[part]], "S64")
        arrays[f"{part}/labels"] = labels.astype(np.int32)
        arrays[f"{part}/probabilities"] = probabilities.astype(np.float32)
    with atomic(folder / FILE) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_predictions(folder: str | Path, part: str) -> SavedPredictions | None:
    """What a run answered on a part; None where it kept nothing of it.

    Raises:
        UserError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        # Opened here: numpy leaves a damaged file open.
        with open(path, "rb") as stream, np.load(stream) as arrays:
            if f"{part}/sha256" not in arrays:
                return None
            return SavedPredictions(
                sha256=arrays[f"{part}/sha256"],
                labels=arrays[f"{part}/labels"],
                probabilities=arrays[f"{part}/probabilities"],
            )
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"`{path}` is damaged", "delete it, or train the run again with --force") from error
