"""Keeps what each head of the benchmark of accuracy predicted, so that a benchmark that was stopped continues."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles, Labels
from pipelines.evaluation.metrics import calibration_error, losses
from pipelines.system.records import as_record

DIGITS = 6  # of a loss or a confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One head, trained on one draw of the pictures and scored on the test pictures.

    Attributes:
        data: the folder of images.
        backbone: its name.
        size: pictures a class; 0 for all.
        seed: of the draw, and of the folds.
        head: its name, such as `levels`.
        correct: (test pictures,) 1 where the most probable class is the true one, else 0.
        confidence: (test pictures,) probability of the most probable class.
        loss: (test pictures,) log-loss, nats.
        seconds: that choosing and fitting the head took, on whatever else the machine was busy with.
        chosen: what the head was chosen as, such as the set of features.
    """

    data: str
    backbone: str
    size: int
    seed: int
    head: str
    correct: tuple[int, ...]
    confidence: tuple[float, ...]
    loss: tuple[float, ...]
    seconds: float
    chosen: str

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        """What identifies the cell."""
        return self.data, self.backbone, self.size, self.seed, self.head

    @property
    def ece(self) -> float:
        """Expected calibration error, in [0, 1]."""
        return calibration_error(np.array(self.confidence), np.array(self.correct, bool))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which cell: the draw and the head; as in `Cell`."""

    data: str
    backbone: str
    size: int
    seed: int
    head: str

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        """As that of the cell."""
        return self.data, self.backbone, self.size, self.seed, self.head

    def cell(self, probabilities: ArrayLike, labels: Labels, *, seconds: float, chosen: str = "") -> Cell:
        """The cell of a head's predictions.

        Args:
            probabilities: (test pictures, classes).
            labels: (test pictures,) true classes.
            seconds: that the head took.
            chosen: what it was chosen as.
        """
        rows = np.asarray(probabilities, np.float64)
        return Cell(
            **asdict(self),
            correct=tuple(int(is_correct) for is_correct in rows.argmax(1) == labels),
            confidence=_rounded(rows.max(1)),
            loss=_rounded(losses(rows, labels)),
            seconds=round(seconds, 2),
            chosen=chosen,
        )


def read_cells(path: Path) -> dict[tuple[str, str, int, int, str], Cell]:
    """The cells in a file of JSON lines, by key; the last line of a benchmark that was killed may be half of one."""
    if not path.exists():
        return {}
    cells = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        cells.append(as_record(values, Cell))
    return {cell.key: cell for cell in cells}


def add_cell(path: Path, cell: Cell) -> None:
    """Write one more line."""
    is_whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(("" if is_whole else "\n") + json.dumps(asdict(cell)) + "\n")


def mean_over_draws(cells: Iterable[Cell], field: str) -> Doubles:
    """(test pictures,) the mean of `correct` or `loss` over the cells."""
    return np.mean([getattr(cell, field) for cell in cells], axis=0, dtype=np.float64)


def _rounded(values: Doubles) -> tuple[float, ...]:
    return tuple(round(value, DIGITS) for value in values.tolist())
