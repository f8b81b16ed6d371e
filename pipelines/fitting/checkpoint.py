"""Where a stage of training stands, put on disk after every epoch, and back: what is killed goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.updates import Updates
from pipelines.runs.spec import Stage
from pipelines.system.files import atomic

Floats = NDArray[np.float32]


@dataclass(slots=True, kw_only=True)
class StageProgress:
    """Where a stage stands after an epoch; together with the weights it is all that going on needs.

    Attributes:
        epoch: whole epochs done.
        best_loss: least validation log-loss so far.
        best_epoch: the epoch that reached it, counted from 1; 0 before the first.
        temperature: its answers' best, 1 or more, where the recipe calibrates; else 1.
        since: epochs since then.
        plateau: epochs since the loss or the rate last changed for the better.
        rate: factor on the first learning rate.
        steps: steps done.
        stopped: whether early stopping has ended the stage.
        adapted: what was learnt about the machine.
        history: one record an epoch.
    """

    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    temperature: float = 1.0
    since: int = 0
    plateau: int = 0
    rate: float = 1.0
    steps: int = 0
    stopped: bool = False
    adapted: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoint:
    """Puts a stage's whole state on disk after an epoch, and back."""

    def __init__(
        self, model: keras.Model, updates: Updates, average: list[tf.Variable], folder: Path, stage: Stage
    ) -> None:
        self.model, self.updates, self.average = model, updates, average
        self.path = folder / f"{stage.label.replace(' ', '-')}.npz"

    def _variables(self) -> list[Any]:
        # With the states of seed generators: dropout goes on where it was.
        return [*self.model.variables, *self.updates.variables, *self.average]

    def judged(self) -> list[Floats]:
        """The weights that are judged and kept: the model's, or their moving average."""
        averages = {
            id(each): self.average[at] for at, each in enumerate(self.model.trainable_variables) if self.average
        }
        return [_array(averages.get(id(each), each)) for each in self.model.weights]

    def save(self, progress: StageProgress, best: list[Floats]) -> None:
        """Put the state after an epoch on disk, atomically.

        Args:
            progress: where the stage stands.
            best: the weights of its best epoch; empty when there is none yet.
        """
        values: dict[str, Any] = {f"now{number}": _array(each) for number, each in enumerate(self._variables())}
        values |= {f"best{number}": each for number, each in enumerate(best)}
        values["progress"] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **values)

    def load(self) -> tuple[StageProgress, list[Floats]]:
        """Put the model and its updates where an interrupted stage left them, and say where that was."""
        if not self.path.is_file():
            return StageProgress(), []
        with np.load(self.path) as values:
            for number, each in enumerate(self._variables()):
                each.assign(values[f"now{number}"])
            best = [values[f"best{number}"] for number in range(sum(name.startswith("best") for name in values))]
            return StageProgress(**json.loads(values["progress"].tobytes())), best


def _array(variable: Any) -> Floats:
    """A copy of a variable's value."""
    return np.array((variable.value if isinstance(variable, keras.Variable) else variable).numpy())
