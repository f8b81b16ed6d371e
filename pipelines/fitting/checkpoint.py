"""Saves a checkpoint after every epoch and restores it when an interrupted training resumes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.errors import UserError
from models.optimizer import LayerwiseOptimizer
from pipelines.fitting.step import StepState
from pipelines.runs.stages import Stage
from pipelines.runs.training_records import EpochRecord
from pipelines.system.arrays import AnyArray, read_arrays
from pipelines.system.files import atomic
from pipelines.system.records import DamagedRecord, as_record

# The values of a model's weights, in their order; most are float32, the states of seed generators are whole numbers.
WeightValues: TypeAlias = list[NDArray[Any]]
# Field -> its key in the file, where the two differ: checkpoints of earlier versions must still load.
FILE_KEYS = {
    "epochs_since_best": "since",
    "plateau_epochs": "plateau",
    "plateau_factor": "rate",
    "is_stopped": "stopped",
    "step_state": "adapted",
    "loss_scale": "scale",
    "finite_steps": "calm",
}


@dataclass(slots=True, kw_only=True)
class StageProgress:
    """How far a stage has come after an epoch; together with the weights, all that resuming it needs.

    Attributes:
        epoch: whole epochs done.
        best_loss: least validation log-loss so far, nats.
        best_epoch: the epoch that reached it, from 1; 0 before the first.
        temperature: of that epoch's validation predictions, 1 or more, where the recipe calibrates; else 1.
        epochs_since_best: epochs since `best_epoch`.
        plateau_epochs: epochs since the loss improved or the rate was lowered.
        plateau_factor: factor by which plateaus have lowered the learning rate.
        steps: steps done.
        is_stopped: whether early stopping has ended the stage.
        step_state: the training step's settings for this machine.
        history: one record an epoch.
    """

    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    temperature: float = 1.0
    epochs_since_best: int = 0
    plateau_epochs: int = 0
    plateau_factor: float = 1.0
    steps: int = 0
    is_stopped: bool = False
    step_state: StepState = field(default_factory=StepState)
    history: list[EpochRecord] = field(default_factory=list)


class Checkpoint:
    """The whole state of a stage in one file, written after every epoch.

    Attributes:
        path: of the file, an `.npz` archive: `now0`, `now1` ... are the current variables, `best0`, `best1` ... the
            weights of the best epoch, and `progress` is JSON.
    """

    def __init__(
        self,
        model: keras.Model,
        updates: LayerwiseOptimizer,
        average: Sequence[tf.Variable],
        folder: Path,
        stage: Stage,
    ) -> None:
        """Set which variables are saved, and where.

        Args:
            model: the network in training.
            updates: the optimizers, which have variables too.
            average: the moving average of `model.trainable_variables`, or nothing.
            folder: of the file.
            stage: the stage, whose label gives the file its name.
        """
        self._model, self._updates, self._average = model, updates, average
        self.path = folder / f"{stage.label.replace(' ', '-')}.npz"

    def _variables(self) -> list[Any]:  # of Keras and of TensorFlow, which ship no types
        # With the states of seed generators: dropout continues with the same draws.
        return [*self._model.variables, *self._updates.variables, *self._average]

    def evaluated_weights(self) -> WeightValues:
        """The weights that validation sees: the model's, or their moving average."""
        averaged = self._model.trainable_variables if self._average else []
        averages = {id(weight): average for weight, average in zip(averaged, self._average, strict=True)}
        return [_value(averages.get(id(weight), weight)) for weight in self._model.weights]

    def save(self, progress: StageProgress, best_weights: WeightValues) -> None:
        """Write the state after an epoch, atomically.

        Args:
            progress: of the stage.
            best_weights: of its best epoch; empty before the first.
        """
        # Any: the stubs of numpy.savez reject a dictionary of arrays, for its keyword `allow_pickle` is a bool.
        arrays: dict[str, Any] = {f"now{number}": _value(variable) for number, variable in enumerate(self._variables())}
        arrays |= {f"best{number}": weight for number, weight in enumerate(best_weights)}
        arrays["progress"] = np.frombuffer(_to_json(progress).encode(), np.uint8)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays)

    def load(self) -> tuple[StageProgress, WeightValues]:
        """Restore the variables of an interrupted stage; returns its progress and the weights of its best epoch.

        Raises:
            UserError: the file is damaged.
        """
        if not self.path.is_file():
            return StageProgress(), []
        try:
            arrays = read_arrays(self.path)
            progress = _from_json(arrays.pop("progress", np.zeros(0, np.uint8)).tobytes())
            variables = self._variables()
            now = _numbered(arrays, "now", variables)
            best = _numbered(arrays, "best", self._model.weights) if "best0" in arrays else []
        except DamagedRecord as error:
            raise UserError(
                f"the checkpoint `{self.path}` is damaged: {error}",
                "delete it: the stage begins anew",
            ) from error
        for variable, value in zip(variables, now, strict=True):
            variable.assign(value)
        return progress, best


def _numbered(arrays: dict[str, AnyArray], name: str, variables: Sequence[Any]) -> WeightValues:  # as `_variables`
    """The arrays `name`0, `name`1 ..., one for each variable.

    Raises:
        DamagedRecord: one is missing, or does not fit its variable.
    """
    values = [arrays.get(f"{name}{number}") for number in range(len(variables))]
    present = [value for value in values if value is not None]
    if len(present) < len(values) or len(values) < sum(key.startswith(name) for key in arrays):
        raise DamagedRecord("it is of another network")
    for value, variable in zip(present, variables, strict=True):
        if value.shape != tuple(variable.shape) or value.dtype.kind not in "fiub":
            raise DamagedRecord("it is of another network")
    return present


def _to_json(progress: StageProgress) -> str:
    values = asdict(progress)
    values["step_state"] = {FILE_KEYS.get(name, name): value for name, value in values["step_state"].items()}
    values["history"] = [record.measured() for record in progress.history]
    return json.dumps({FILE_KEYS.get(name, name): value for name, value in values.items()})


def _from_json(text: bytes) -> StageProgress:
    """The progress of a stage.

    Raises:
        DamagedRecord: it is not JSON, or a value has another type.
    """
    names = {key: name for name, key in FILE_KEYS.items()}
    try:
        values = as_record(json.loads(text), dict)
    except (ValueError, RecursionError) as error:
        raise DamagedRecord("its progress is not JSON") from error
    values = {names.get(key, key): value for key, value in values.items()}
    state = values.get("step_state")
    if isinstance(state, dict):
        values["step_state"] = {names.get(key, key): value for key, value in state.items()}
    return as_record(values, StageProgress)


def _value(variable: Any) -> NDArray[Any]:  # a variable of Keras or of TensorFlow, which ship no types
    """A copy of a variable's value."""
    return np.array((variable.value if isinstance(variable, keras.Variable) else variable).numpy())
