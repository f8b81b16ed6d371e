"""Stores a run's validation and test predictions, for paired comparison of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Labels, Probabilities
from models.errors import UserError
from pipelines.runs.examples import Example, Split
from pipelines.system.arrays import AnyArray, read_arrays
from pipelines.system.files import atomic
from pipelines.system.records import DamagedRecord

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

    def of(self, examples: Sequence[Example]) -> Probabilities | None:
        """The predictions of some images, in their order; None where one is missing. Identical images have the same."""
        row_of = {sha256.decode(): row for row, sha256 in enumerate(self.sha256)}
        if not all(example.sha256 in row_of for example in examples):
            return None
        return self.probabilities[[row_of[example.sha256] for example in examples]]


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
        arrays[f"{part}/probabilities"] = np.asarray(probabilities, np.float32)
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
        arrays = read_arrays(path)
        if f"{part}/sha256" not in arrays:
            return None
        return _checked(*(arrays.get(f"{part}/{name}") for name in ("sha256", "labels", "probabilities")))
    except DamagedRecord as error:
        raise UserError(f"`{path}` is damaged: {error}", "delete it, or train the run again with --force") from error


def read_held_out(folder: str | Path) -> SavedPredictions | None:
    """A run's predictions of all images by models that were not fitted to them; None where it has none.

    Those of the part `validation` and, where a validation part was given beside folds, those of the part `train`, which
    are out of fold. They come last: where an image is in both parts, its prediction out of fold is the honest one.

    Raises:
        UserError: the file is damaged.
    """
    parts = [part for name in ("validation", "train") if (part := read_predictions(folder, name)) is not None]
    if not parts:
        return None
    return SavedPredictions(
        sha256=np.concatenate([part.sha256 for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
    )


def _checked(sha256: AnyArray | None, labels: AnyArray | None, probabilities: AnyArray | None) -> SavedPredictions:
    """The predictions of one part.

    Raises:
        DamagedRecord: the arrays are of other types, or do not fit each other.
    """
    if sha256 is None or labels is None or probabilities is None:
        raise DamagedRecord("an array is missing")
    count = len(sha256) if sha256.ndim else 0
    if sha256.dtype != "S64" or labels.dtype != np.int32 or probabilities.dtype != np.float32:
        raise DamagedRecord("an array has another type")
    if sha256.shape != (count,) or labels.shape != (count,) or probabilities.ndim != 2 or len(probabilities) != count:
        raise DamagedRecord("the arrays have different lengths")
    if not ((labels >= 0) & (labels < probabilities.shape[1])).all():
        raise DamagedRecord("a label without a class")
    if not ((probabilities >= 0) & (probabilities <= 1 + 1e-3)).all():
        raise DamagedRecord("a probability outside of 0 and 1")
    return SavedPredictions(sha256=sha256, labels=labels, probabilities=probabilities)
