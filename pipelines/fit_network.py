"""Fit a network on pixels: a head under a frozen base with fresh views, the top blocks, or everything.

Every epoch ends with its state on disk: killed at any moment, the same command goes on after the last whole epoch
and ends with the weights it would have had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from pipelines.progress import Reporter, Task
from pipelines.runs import atomic
from pipelines.specs import Stage

Floats = NDArray[np.float32]
LEAST_GAIN = 1e-4
LEAST_RATE = 1e-3  # of the first learning rate: under it a plateau stops the stage


class Batches(Protocol):
    """What feeds a stage: batches of (pixels, labels, weights) for an epoch."""

    def __call__(self, epoch: int) -> Any:
        """A tf.data dataset, the same whenever it is asked for the same epoch."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a stage stands after an epoch; together with the weights it is all that going on needs.

    Attributes:
        epoch: whole epochs done.
        best_loss: least validation log-loss so far.
        best_epoch: the epoch that reached it, counted from 1; 0 before the first.
        since: epochs since then.
        plateau: epochs since the loss or the rate last changed for the better.
        rate: factor on the first learning rate.
        stopped: whether early stopping has ended the stage.
        history: one record an epoch.
    """

    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    since: int = 0
    plateau: int = 0
    rate: float = 1.0
    stopped: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


def optimizer_of(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """One of `adam`, `adamw` (weight decay 1e-4) and `sgd` (momentum 0.9)."""
    table = {
        "adam": lambda: keras.optimizers.Adam(learning_rate),
        "adamw": lambda: keras.optimizers.AdamW(learning_rate, weight_decay=1e-4),
        "sgd": lambda: keras.optimizers.SGD(learning_rate, momentum=0.9),
    }
    return table[name]()


def fit_network(
    model: keras.Model,
    stage: Stage,
    *,
    train: Batches,
    validation: Any,
    num_images: int,
    optimizer: str,
    patience: int,
    state: Path,
    reporter: Reporter,
) -> Progress:
    """Fit one stage and leave `model` with the weights of its best epoch.

    Args:
        model: pixels (batch, size, size, 3) in [0, 255] -> probabilities; what is to stay has `trainable=False`.
        stage: for how long and how fast.
        train: gives each epoch's batches.
        validation: batches of (pixels, labels) that decide rate, stop and best epoch.
        num_images: training images an epoch.
        optimizer: which rule.
        patience: epochs without a better validation loss before the stage stops.
        state: folder that keeps what a killed stage needs to go on.
        reporter: where progress goes.

    Returns:
        Where it ended.
    """
    model.compile(optimizer_of(optimizer, stage.learning_rate), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    keeper = _Keeper(model, state, stage)
    progress, best = keeper.load()
    with reporter.task(stage.name, num_images * stage.epochs) as task:
        task.advance(num_images * progress.epoch)
        while progress.epoch < stage.epochs and not progress.stopped:
            began = time.monotonic()
            model.optimizer.learning_rate = stage.learning_rate * progress.rate
            shown = _Shown(task, began)
            loss = model.fit(train(progress.epoch), epochs=1, verbose=0, callbacks=[shown]).history["loss"][-1]
            probabilities, labels = answers(model, validation)
            found = log_loss(probabilities, labels)
            accuracy = float((probabilities.argmax(1) == labels).mean())
            if _judge(progress, found, patience):
                best = keeper.weights()
            seconds = time.monotonic() - began
            progress.history.append(
                {
                    "stage": stage.name,
                    "epoch": progress.epoch,
                    "loss": float(loss),
                    "validation_loss": found,
                    "validation_accuracy": accuracy,
                    "learning_rate": float(model.optimizer.learning_rate),
                    "seconds": round(seconds, 2),
                }
            )
            shown.accuracy = f"{accuracy:.3f}"
            task.advance(0, loss=f"{loss:.3f}", accuracy=shown.accuracy)
            task.line(
                f"{stage.name} epoch {progress.epoch}/{stage.epochs}: loss {loss:.4f}, validation loss {found:.4f}, "
                f"accuracy {accuracy:.4f}, {num_images / seconds:.0f} images/s"
            )
            keeper.save(progress, best)
    keeper.restore(best)
    return progress


def answers(model: keras.Model, batches: Iterable[Any]) -> tuple[Floats, NDArray[np.int32]]:
    """Probabilities (images, classes) and labels (images,) of batches of (pixels, labels, ...)."""
    found, labels = [], []
    for batch in batches:
        found.append(np.asarray(model.predict_on_batch(batch[0])))
        labels.append(np.asarray(batch[1]))
    return np.concatenate(found), np.concatenate(labels).astype(np.int32)


def log_loss(probabilities: Floats, labels: NDArray[np.int32]) -> float:
    """Mean negative log of the probability of the right class."""
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-15, None)).mean())


def _judge(progress: Progress, found: float, patience: int) -> bool:
    """Count one epoch; lower the rate or stop when it is time; say whether it was the best so far."""
    progress.epoch += 1
    if found < progress.best_loss - LEAST_GAIN:
        progress.best_loss, progress.best_epoch = found, progress.epoch
        progress.since = progress.plateau = 0
        return True
    progress.since += 1
    progress.plateau += 1
    if progress.plateau >= max(2, patience // 2):
        progress.plateau = 0
        progress.rate /= 10
    progress.stopped = progress.since >= patience or progress.rate < LEAST_RATE
    return False


class _Shown(keras.callbacks.Callback):
    """Moves the bar on after each step."""

    def __init__(self, task: Task, began: float) -> None:
        super().__init__()
        self.task, self.began, self.seen = task, began, 0
        self.accuracy = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        size = int((logs or {}).get("size", 0)) or self.batch_size
        self.seen += size
        rate = self.seen / max(time.monotonic() - self.began, 1e-6)
        self.task.advance(size, loss=f"{(logs or {}).get('loss', 0.0):.3f}", rate=f"{rate:.0f} images/s")

    batch_size = 32


class _Keeper:
    """Puts a stage's whole state on disk after an epoch, and back."""

    def __init__(self, model: keras.Model, folder: Path, stage: Stage) -> None:
        self.model = model
        self.path = folder / f"{stage.name.replace(' ', '-')}.npz"

    def _variables(self) -> list[keras.Variable]:
        # With the states of seed generators: dropout goes on where it was.
        return [*self.model.variables, *self.model.optimizer.variables]

    def weights(self) -> list[Floats]:
        return [np.array(weight) for weight in self.model.get_weights()]

    def restore(self, best: list[Floats]) -> None:
        if best:
            self.model.set_weights(best)

    def save(self, progress: Progress, best: list[Floats]) -> None:
        values = {f"now{number}": np.array(each.value) for number, each in enumerate(self._variables())}
        values |= {f"best{number}": each for number, each in enumerate(best)}
        values["progress"] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
        with atomic(self.path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **values)

    def load(self) -> tuple[Progress, list[Floats]]:
        if not self.path.is_file():
            return Progress(), []
        with np.load(self.path) as values:
            for number, each in enumerate(self._variables()):
                each.assign(values[f"now{number}"])
            best = [values[f"best{number}"] for number in range(sum(name.startswith("best") for name in values))]
            return Progress(**json.loads(values["progress"].tobytes())), best
