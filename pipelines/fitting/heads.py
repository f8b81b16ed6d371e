"""Fit a bank of heads on cached features: every head with its own rate, plateau, early stop and best epoch."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.bank import Bank, Candidate, Optimizer
from models.heads import Head
from pipelines.features.cached import Features
from pipelines.system.progress import Reporter

Floats = NDArray[np.float32]
BATCH = 256
PLATEAU_EPOCHS = 3  # epochs without a better validation loss before a head's rate is divided by 10
NUM_DIVISIONS = 2  # divisions before a head stops
LEAST_GAIN = 1e-4  # of the validation loss, to count as better


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHeads:
    """What a bank ends with.

    Attributes:
        heads: one plain model a candidate, features (batch, features) -> probabilities, at its best epoch.
        best: index of the one with the least validation log-loss.
        validation: (heads, images, classes) probabilities on the validation part.
        rows: one record a head, the best first: its options, best epoch, validation loss and accuracy.
        history: one record an epoch, of the head that was best in the end.
        seconds: of fitting.
    """

    heads: tuple[keras.Model, ...]
    best: int
    validation: Floats
    rows: tuple[dict[str, Any], ...]
    history: tuple[dict[str, Any], ...]
    seconds: float


def fit_heads(
    head: Head,
    chosen: tuple[Candidate, ...],
    *,
    train: Features,
    validation: Features,
    num_classes: int,
    optimizer: Optimizer,
    epochs: int,
    class_weights: Floats | None,
    sample_weights: Floats | None = None,
    seed: int,
    reporter: Reporter,
) -> FittedHeads:
    """Fit all heads in one pass and keep each at its best epoch.

    Args:
        head: the shape they share.
        chosen: one a head.
        train: features to fit on; every epoch draws one view of each image at random.
        validation: features that decide rates, stops and best epochs.
        num_classes: number of classes.
        optimizer: the rule.
        epochs: at most.
        class_weights: (classes,) weight of an image of each class, or None.
        sample_weights: (images,) weights, or None.
        seed: of the order and the views.
        reporter: where progress goes.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    mean, scale = _moments(train)
    bank = Bank(
        head,
        chosen,
        num_features=train.num_features,
        num_classes=num_classes,
        optimizer=optimizer,
        mean=mean,
        scale=scale,
    )
    weights = np.ones(len(train), np.float32) if sample_weights is None else sample_weights
    if class_weights is not None:
        weights = weights * class_weights[train.labels]
    watch = _Watch(bank)
    history: list[Floats] = []
    with reporter.task("heads", epochs) as task:
        for epoch in range(epochs):
            began = time.monotonic()
            losses = _epoch(bank, train, weights, np.random.default_rng((seed, epoch)))
            probabilities = _softmax(_logits(bank, validation))
            found = _log_loss(probabilities, validation.labels)
            accuracy = (probabilities.argmax(-1) == validation.labels).mean(-1)
            watch.epoch(epoch, found, accuracy, probabilities)
            history.append(np.stack([losses, found, accuracy], axis=1))
            now, lead = time.monotonic(), int(np.argmin(watch.loss))
            task.advance(
                1,
                loss=f"{losses[lead]:.3f}",
                accuracy=f"{accuracy[lead]:.3f}",
                rate=f"{len(train) / (now - began):,.0f} images/s",
            )
            told = _line(epoch, epochs, losses[lead], found[lead], accuracy[lead], len(chosen), watch.running)
            task.line(told, passing=True)
            if not watch.running:
                break
    best = int(np.argmin(watch.loss))
    reporter.note(_verdict(watch.row(best), len(chosen), len(history)))
    order = np.argsort(watch.loss, kind="stable")
    return FittedHeads(
        heads=tuple(bank.head_model(number, watch.state) for number in range(len(chosen))),
        best=best,
        validation=watch.probabilities,
        rows=tuple(watch.row(int(number)) for number in order),
        history=tuple(_record(epoch, values[best]) for epoch, values in enumerate(history)),
        seconds=time.monotonic() - started,
    )


class _Watch:
    """Each head's best epoch so far, and when its rate falls or it stops."""

    def __init__(self, bank: Bank) -> None:
        count = len(bank.candidates)
        self.bank = bank
        self.loss = np.full(count, np.inf)
        self.accuracy = np.zeros(count)
        self.best_epoch = np.full(count, -1)
        self.state = bank.state()
        self.probabilities: Floats = np.zeros((count, 0, 0), np.float32)
        self._since = np.zeros(count, int)
        self._divisions = np.zeros(count, int)

    @property
    def running(self) -> int:
        """How many heads still learn."""
        return int((self.bank.rates > 0).sum())

    def epoch(self, epoch: int, loss: Floats, accuracy: Floats, probabilities: Floats) -> None:
        # A loss that is not finite compares as no better: such a head falls back to its last good epoch.
        better = (loss < self.loss - LEAST_GAIN) & (self.bank.rates > 0)
        if epoch == 0:
            self.probabilities = probabilities.copy()
        if better.any():
            for kept, now in zip(self.state, self.bank.state(), strict=True):
                kept[better] = now[better]
            self.probabilities[better] = probabilities[better]
            self.loss[better], self.accuracy[better] = loss[better], accuracy[better]
            self.best_epoch[better] = epoch
        self._since = np.where(better, 0, self._since + 1)
        due = self._since >= PLATEAU_EPOCHS
        self._since[due] = 0
        self._divisions[due] += 1
        self.bank.rates[due] /= 10
        self.bank.rates[self._divisions > NUM_DIVISIONS] = 0.0

    def row(self, number: int) -> dict[str, Any]:
        return {
            "number": number,
            **asdict(self.bank.candidates[number]),
            "best_epoch": int(self.best_epoch[number]) + 1,
            "validation_loss": round(float(self.loss[number]), 5) if np.isfinite(self.loss[number]) else None,
            "validation_accuracy": round(float(self.accuracy[number]), 5),
        }


def _moments(train: Features) -> tuple[Floats, Floats]:
    """Mean and standard deviation (features,) of the clean views, in one pass."""
    total, squares = np.zeros(train.num_features), np.zeros(train.num_features)
    for _, rows in train.pieces():
        total += rows.sum(0, dtype=np.float64)
        squares += np.square(rows, dtype=np.float64).sum(0)
    mean = total / len(train)
    variance = np.maximum(squares / len(train) - mean**2, 0.0)
    scale = np.sqrt(variance)
    # A feature that never moves says nothing: dividing by its zero spread would make noise of it.
    scale[scale < 1e-6 * max(scale.max(), 1e-12)] = 1.0
    return mean.astype(np.float32), scale.astype(np.float32)


def _epoch(bank: Bank, train: Features, weights: Floats, random: np.random.Generator) -> Floats:
    order = random.permutation(len(train))
    views = random.integers(train.num_views, size=len(train))
    losses, seen = np.zeros(len(bank.candidates)), 0.0
    for at in range(0, len(order), BATCH):
        numbers = order[at : at + BATCH]
        share = float(weights[numbers].sum())
        if share <= 0:
            continue
        found = bank.step(train.rows(numbers, views[at : at + BATCH]), train.labels[numbers], weights[numbers])
        losses, seen = losses + found * share, seen + share
        # After every batch: around each row that is touched the system may map half a megabyte.
        train.release()
    return np.asarray(losses / seen, np.float32)


def _logits(bank: Bank, part: Features) -> Floats:
    return np.concatenate([bank.logits(rows) for _, rows in part.pieces(1024)], axis=1)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def _log_loss(probabilities: Floats, labels: NDArray[np.int32]) -> Floats:
    """(heads,) mean negative log of the probability (heads, images, classes) of the right class."""
    right = probabilities[:, np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(right, 1e-15, None)).mean(-1), np.float32)


def _line(epoch: int, epochs: int, loss: float, found: float, accuracy: float, count: int, running: int) -> str:
    heads = f", {running} of {count} heads learning" if count > 1 else ""
    return f"epoch {epoch + 1}/{epochs}: loss {loss:.4f}, validation loss {found:.4f}, accuracy {accuracy:.4f}{heads}"


def _verdict(row: dict[str, Any], count: int, epochs: int) -> str:
    tried = f"best of {count} heads" if count > 1 else "head"
    return (
        f"{tried}: l2 {row['l2']:g}, learning rate {row['learning_rate']:g}, dropout {row['dropout']:g}, epoch "
        f"{row['best_epoch']} of {epochs}: validation loss {row['validation_loss']:.4f}, "
        f"accuracy {row['validation_accuracy']:.4f}"
    )


def _record(epoch: int, values: Floats) -> dict[str, Any]:
    loss, found, accuracy = (float(each) for each in values)
    return {
        "stage": "head",
        "epoch": epoch + 1,
        "loss": loss,
        "validation_loss": found,
        "validation_accuracy": accuracy,
    }
