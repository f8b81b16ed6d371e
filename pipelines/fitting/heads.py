"""Fits a bank of heads on cached features: each head has its own learning rate, early stop and best epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras
import numpy as np

from models.arrays import Doubles, Weights
from models.bank import Bank, Optimizer
from models.heads import Candidate, Head
from pipelines.evaluation.metrics import SMALLEST
from pipelines.features.cached import Features
from pipelines.fitting.epoch_lines import has_line
from pipelines.fitting.head_progress import HeadProgress
from pipelines.fitting.standardised import measure_moments
from pipelines.runs.training_records import EpochRecord, HeadTrial
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHeads:
    """The heads of a bank after training.

    Attributes:
        heads: one plain model a candidate, features (batch, features) -> probabilities, at its best epoch.
        best: index of the head with the least validation log-loss.
        trials: one record a head, the best first.
        history: one record an epoch, of the best head.
        seconds: of training.
    """

    heads: tuple[keras.Model, ...]
    best: int
    trials: tuple[HeadTrial, ...]
    history: tuple[EpochRecord, ...]
    seconds: float


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


def fit_heads(
    search: HeadSearch,
    *,
    train: Features,
    validation: Features,
    class_weights: Weights | None = None,
    sample_weights: Weights | None = None,
    reporter: Reporter,
) -> FittedHeads:
    """Fit all heads of a bank in one pass over the features, and keep each at its best epoch.

    Args:
        search: the heads.
        train: features to fit on; every epoch draws one view of each image at random.
        validation: features that decide learning rates, stops and best epochs.
        class_weights: (classes,) weight of an image of each class, or None.
        sample_weights: (images,) weights, or None.
        reporter: shows progress.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(search.seed)
    bank = _build_bank(search, train)
    weights = np.ones(len(train), np.float32) if sample_weights is None else sample_weights
    if class_weights is not None:
        weights = weights * class_weights[train.labels]
    progress = HeadProgress(bank)
    epochs: list[_Epoch] = []
    with reporter.task("heads", search.epochs) as task:
        for number in range(search.epochs):
            began = time.monotonic()
            loss, training_accuracy = _train_epoch(bank, train, weights, np.random.default_rng((search.seed, number)))
            validation_loss, accuracy = _judge(bank, validation, search.num_classes)
            epoch = _Epoch(
                loss=loss, training_accuracy=training_accuracy, validation_loss=validation_loss, accuracy=accuracy
            )
            progress.record(number, epoch.validation_loss, epoch.accuracy)
            epochs.append(epoch)
            speed = len(train) / (time.monotonic() - began)
            _show_epoch(task, epoch.record(number, progress.best), search, progress.num_learning, speed)
            if not progress.num_learning:
                break
    trials = progress.trials()
    reporter.note(_best_line(trials, len(epochs)))
    return FittedHeads(
        heads=tuple(bank.head_model(number, progress.state) for number in range(len(trials))),
        best=progress.best,
        trials=trials,
        history=tuple(epoch.record(number, progress.best) for number, epoch in enumerate(epochs)),
        seconds=time.monotonic() - started,
    )


def _build_bank(search: HeadSearch, train: Features) -> Bank:
    mean, scale = measure_moments((train,))
    return Bank(
        search.head,
        search.candidates,
        num_classes=search.num_classes,
        optimizer=search.optimizer,
        mean=mean,
        scale=scale,
    )


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


def _best_line(trials: tuple[HeadTrial, ...], epochs: int) -> str:
    """One line for people: the hyperparameters and the scores of the best head."""
    best, count = trials[0], len(trials)
    loss = "not finite" if best.validation_loss is None else f"{best.validation_loss:.4f}"
    return (
        f"{f'best of {count} heads' if count > 1 else 'head'}: l2 {best.l2:g}, learning rate {best.learning_rate:g}, "
        f"dropout {best.dropout:g}, epoch {best.best_epoch} of {epochs}: validation loss {loss}, "
        f"accuracy {best.validation_accuracy:.4f}"
    )
