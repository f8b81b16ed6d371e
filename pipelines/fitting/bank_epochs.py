"""Runs the epochs of a bank of heads, or of several banks of the same heads that are judged together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Doubles, Weights
from models.bank import Bank, Optimizer
from models.heads import Candidate, Head
from pipelines.evaluation.metrics import SMALLEST
from pipelines.features.cached import Features
from pipelines.fitting.epoch_lines import has_line
from pipelines.fitting.head_progress import HeadProgress
from pipelines.runs.training_records import EpochRecord
from pipelines.system.progress import Reporter, Task

BATCH = 256  # images a training step
VALIDATION_BATCH = 1024  # images, at most
VALIDATION_LOGITS = 2**25  # of one batch, at most: 128 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSearch:
    """The heads of a bank, and how they are trained.

    Attributes:
        head: the shape they share.
        candidates: hyperparameters, one a head.
        num_classes: number of classes.
        optimizer: the rule.
        epochs: at most.
        seed: of the order of the images and of the views.
    """

    head: Head
    candidates: tuple[Candidate, ...]
    num_classes: int
    optimizer: Optimizer
    epochs: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BankFit:
    """A bank, and what it is fitted to and judged by.

    Attributes:
        bank: the heads.
        train: features that they are fitted to; every epoch draws one view of each image at random.
        weights: (images,) of these.
        judged: features that decide learning rates, stops and best epochs; None where other banks alone decide.
    """

    bank: Bank
    train: Features
    weights: Weights
    judged: Features | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Epoch:
    """Scores of one epoch, each (heads,): training loss and validation log-loss in nats, accuracies in [0, 1]."""

    loss: Doubles
    training_accuracy: Doubles
    validation_loss: Doubles
    accuracy: Doubles

    def record(self, epoch: int, head: int) -> EpochRecord:
        return EpochRecord(
            stage="head",
            epoch=epoch + 1,
            loss=float(self.loss[head]),
            accuracy=float(self.training_accuracy[head]),
            validation_loss=float(self.validation_loss[head]),
            validation_accuracy=float(self.accuracy[head]),
        )


def run_epochs(
    search: HeadSearch, fits: Sequence[BankFit], reporter: Reporter
) -> tuple[HeadProgress, tuple[EpochRecord, ...]]:
    """Train banks side by side until no head improves.

    The same head of every bank has the same learning rate, and its best epoch is the same: that of the least mean loss
    over all images that are judged.

    Args:
        search: the heads.
        fits: one a bank, each with the candidates of `search`; at least one is judged.
        reporter: shows progress.

    Returns:
        The best epochs of the heads, and a record of each epoch of the best head.
    """
    progress = HeadProgress(*(fit.bank for fit in fits))
    num_images = sum(len(fit.train) for fit in fits)
    epochs: list[_Epoch] = []
    with reporter.task("heads", search.epochs) as task:
        for number in range(search.epochs):
            began = time.monotonic()
            epoch = _run_epoch(search, fits, number)
            progress.record(number, epoch.validation_loss, epoch.accuracy)
            epochs.append(epoch)
            speed = num_images / (time.monotonic() - began)
            _show_epoch(task, epoch.record(number, progress.best), search, progress.num_learning, speed)
            if not progress.num_learning:
                break
    return progress, tuple(epoch.record(number, progress.best) for number, epoch in enumerate(epochs))


def _run_epoch(search: HeadSearch, fits: Sequence[BankFit], number: int) -> _Epoch:
    """Train and judge each bank once; the scores are means over the images of the banks that are judged."""
    trained, judged, num_trained, num_judged = [], [], [], []
    for fit in fits:
        scores = _train_epoch(fit.bank, fit.train, fit.weights, np.random.default_rng((search.seed, number)))
        if fit.judged is None:
            continue
        trained.append(scores)
        judged.append(_judge(fit.bank, fit.judged, search.num_classes))
        num_trained.append(len(fit.train))
        num_judged.append(len(fit.judged))
    loss, training_accuracy = np.average(trained, axis=0, weights=num_trained)
    validation_loss, accuracy = np.average(judged, axis=0, weights=num_judged)
    return _Epoch(loss=loss, training_accuracy=training_accuracy, validation_loss=validation_loss, accuracy=accuracy)


def _train_epoch(bank: Bank, train: Features, weights: Weights, random: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Train for one epoch; returns the (heads,) mean losses and accuracies before each step, weighted alike."""
    order = random.permutation(len(train))
    views = random.integers(train.num_views, size=len(train))
    total, correct, total_weight = np.zeros(len(bank.candidates)), np.zeros(len(bank.candidates)), 0.0
    for start in range(0, len(order), BATCH):
        images = order[start : start + BATCH]
        weight = float(weights[images].sum())
        if weight <= 0:
            continue
        loss, share = bank.step(train.rows(images, views[start : start + BATCH]), train.labels[images], weights[images])
        total, correct, total_weight = total + loss * weight, correct + share * weight, total_weight + weight
        # After every batch: around each row that is read, the system may map half a megabyte.
        train.release()
    return total / total_weight, correct / total_weight


def _judge(bank: Bank, part: Features, num_classes: int) -> tuple[Doubles, Doubles]:
    """Score the heads on the clean views; a few probabilities at a time are in memory, however many classes there are.

    Args:
        bank: the heads.
        part: features of the validation images.
        num_classes: number of classes.

    Returns:
        (heads,) log-losses in nats, and (heads,) accuracies in [0, 1].
    """
    total, correct = np.zeros(len(bank.candidates)), np.zeros(len(bank.candidates))
    rows_at_once = VALIDATION_LOGITS // (len(bank.candidates) * num_classes)
    for places, rows in part.pieces(max(1, min(VALIDATION_BATCH, rows_at_once))):
        losses, is_correct = bank.judge(rows, part.labels[places])
        # As in a report, no image counts more than the smallest probability allows.
        total += np.minimum(losses, -np.log(SMALLEST)).sum(1, dtype=np.float64)
        correct += is_correct.sum(1)
    return total / len(part), correct / len(part)


def _show_epoch(task: Task, record: EpochRecord, search: HeadSearch, num_learning: int, speed: float) -> None:
    """Show the best head's scores, and how many heads are still learning."""
    loss, accuracy = record.loss, record.validation_accuracy
    task.advance(1, loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", rate=f"{speed:,.0f} images/s")
    count = len(search.candidates)
    learning = f", {num_learning} of {count} heads learning" if count > 1 else ""
    if has_line(record.epoch, search.epochs):
        task.line(
            f"epoch {record.epoch}/{search.epochs}: loss {loss:.4f}, validation loss {record.validation_loss:.4f}, "
            f"accuracy {accuracy:.4f}{learning}",
            passing=True,
        )
