"""Stores a run's validation and test predictions, for paired comparison of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.arrays import Labels, Probabilities
from models.errors import UserError
from pipelines.runs.examples import Example, Split
from pipelines.system.files import atomic

if TYPE_CHECKING:
    from pipelines.evaluation.predictions import Predictions

FILE = "answers.npz"
# (images,) content hashes, 64 hexadecimal digits each.
Hashes: TypeAlias = NDArray[np.bytes_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPredictions:
    """A run's predictions on one part.

    Attributes:
        sha256: (images,) hash of each image's content.
        labels: (images,) true classes.
        probabilities: (images, classes).
    """

    sha256: Hashes
    labels: Labels
    probabilities: Probabilities


def save_predictions(
    folder: Path, parts: Mapping[Split, Predictions], examples: Mapping[Split, Sequence[Example]]
) -> None:
    """Write `answers.npz`: `PART/sha256`, `PART/labels` and `PART/probabilities` for each part.

    Args:
        folder: of the run.
        parts: part -> probabilities (images, classes) and labels (images,).
        examples: part -> its images, in the same order.
    """
    arrays: dict[str, Hashes | Labels | Probabilities] = {}
    for part, (probabilities, labels) in parts.items():
        arrays[f"{part}/sha256"] = np.array([example.sha256 for example in examples[part]], "S64")
        arrays[f"{part}/labels"] = labels.astype(np.int32)
        arrays[f"{part}/probabilities"] = probabilities.astype(np.float32)
    with atomic(folder / FILE) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_predictions(folder: str | Path, part: str) -> SavedPredictions | None:
    """A run's predictions on a part; None where it has none.

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
