"""Chooses the answer of least expected cost, by a table of what each mistake costs."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.arrays import Doubles, Probabilities
from models.errors import UserError
from pipelines.system.text import name_list, one_line

_HINT = "the first line names the answers, each further line a true class and the cost of each answer to it"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTable:
    """What each answer costs.

    Attributes:
        costs: (classes, classes), finite: row the true class, column the answer, both in the run's order.
    """

    costs: Doubles

    def choose(self, probabilities: Probabilities) -> tuple[int, float]:
        """The answer of least expected cost to one image, and that cost.

        Of equally cheap answers it is the most probable one.

        Args:
            probabilities: (classes,).
        """
        expected = probabilities.astype(np.float64) @ self.costs
        cheapest = np.flatnonzero(expected <= expected.min() + 1e-12)
        answer = int(cheapest[probabilities[cheapest].argmax()])
        return answer, float(expected[answer])


def read_costs(file: str, class_names: Sequence[str]) -> CostTable:
    """Read a CSV table of costs; its rows and columns may be in any order.

        truth,cat,dog
        cat,0,1
        dog,10,0

    Args:
        file: UTF-8 text. The first cell may say anything.
        class_names: (classes,) of the run.

    Raises:
        UserError: the file cannot be read; a class is unknown, missing or twice there; a cost is missing or no number.
    """
    shown = one_line(file)
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream) if any(cell.strip() for cell in line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the table of costs `{shown}` cannot be read: {reason}", _HINT) from error
    if not lines:
        raise UserError(f"the table of costs `{shown}` is empty", _HINT)
    answers, rows = [cell.strip() for cell in lines[0][1:]], lines[1:]
    _require_classes(answers, class_names, f"the first line of `{shown}`")
    _require_classes([row[0].strip() for row in rows], class_names, f"the first column of `{shown}`")
    costs = np.zeros((len(class_names), len(class_names)))
    position = {name: number for number, name in enumerate(class_names)}
    for row in rows:
        truth, cells = row[0].strip(), row[1:]
        if len(cells) > len(answers):
            raise UserError(f"`{shown}` has more costs of `{one_line(truth)}` than answers in its first line", _HINT)
        for answer, cell in zip(answers, cells + [""] * (len(answers) - len(cells)), strict=True):
            costs[position[truth], position[answer]] = _cost(cell.strip(), truth, answer, shown)
    return CostTable(costs=costs)


def _require_classes(names: Sequence[str], class_names: Sequence[str], where: str) -> None:
    """Refuse names that are not the classes of a run, each once."""
    if unknown := [name for name in names if name not in class_names]:
        raise UserError(
            f"{where} has {name_list(unknown)}, which the run does not know", f"its classes: {name_list(class_names)}"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{where} has {name_list(twice)} twice", _HINT)
    if missing := [name for name in class_names if name not in names]:
        raise UserError(f"{where} lacks {name_list(missing)}", _HINT)


def _cost(cell: str, truth: str, answer: str, shown: str) -> float:
    """One cost.

    Raises:
        UserError: the cell is empty, or is no finite number.
    """
    place = f"of the answer `{one_line(answer)}` to `{one_line(truth)}`"
    if not cell:
        raise UserError(f"`{shown}` lacks the cost {place}", _HINT)
    try:
        cost = float(cell)
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost):
        raise UserError(f"the cost {place} in `{shown}` is no number: `{one_line(cell)}`", _HINT)
    return cost
