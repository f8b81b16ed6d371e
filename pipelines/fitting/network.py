"""Trains one stage of a network on batches: a head over a frozen base, the top blocks, or all layers.

Every epoch ends with a checkpoint: a training that is killed resumes after its last whole epoch and ends with the same
weights as one that was not interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from models.optimizer import LayerwiseOptimizer
from models.precision import Precision, computing_in, precision_of
from pipelines.evaluation.calibration import apply_temperature, fit_cooling
from pipelines.evaluation.metrics import losses
from pipelines.evaluation.predictions import gather_predictions
from pipelines.fitting.checkpoint import Checkpoint, StageProgress, WeightValues
from pipelines.fitting.devices import all_devices, copy_for
from pipelines.fitting.epoch_lines import has_line
from pipelines.fitting.schedule import count_epoch, rate_factor
from pipelines.fitting.step import StepOptions, TrainingStep
from pipelines.runs.stages import Recipe, Stage
from pipelines.runs.training_records import EpochRecord
from pipelines.system.progress import Reporter, Task

SHOWN_SECONDS = 0.2  # between two updates of the progress bar
NEW_RATE = 0.2  # weight of the latest images per second in the rate that is shown, which goes on from epoch to epoch
# Batches of (inputs, labels, weights) as a tf.data dataset or another iterable of tensors, which have no types. Labels
# are (batch,) int, or (batch, classes) shares where images are mixed; weights (batch,) may be missing.
Batches: TypeAlias = Iterable[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitData:
    """What a network is trained and validated on.

    Attributes:
        train: an epoch's number, from 0 -> its batches, the same whenever it is called for the same epoch.
        validation: batches of (inputs, labels) that decide the learning rate, the stop and the best epoch.
        num_images: training images an epoch.
    """

    train: Callable[[int], Batches]
    validation: Batches
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFit:
    """One stage of training a network.

    Attributes:
        model: the inputs of the batches, or the outputs of `trunk` -> probabilities (batch, classes), or a list of
            them, of which the first counts and the others are auxiliary classifiers; frozen layers have
            `trainable=False`.
        stage: how long and how fast.
        recipe: how weights are stepped.
        data: what it is trained on.
        trunk: frozen layers below the model, which run as in inference; None for none.
        factors: on the learning rate, one for each of `model.trainable_variables`; None for 1.
    """

    model: keras.Model
    stage: Stage
    recipe: Recipe
    data: FitData
    trunk: keras.Model | None = None
    factors: Sequence[float] | None = None


def fit_network(
    fit: NetworkFit,
    *,
    state: Path,
    reporter: Reporter,
    watch: Callable[[EpochRecord], None] | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> StageProgress:
    """Train one stage, and leave the model with the weights of its best epoch.

    Args:
        fit: the stage.
        state: folder of the checkpoint.
        reporter: shows progress.
        watch: called with each epoch's record.
        strategy: the devices; None for all GPUs of this machine, or the CPU.

    Returns:
        The progress after the last epoch.

    Raises:
        UserError: not even one image fits into memory.
    """
    strategy = strategy or all_devices()
    stage, num_images = fit.stage, fit.data.num_images
    precision = precision_of(fit.recipe.precision)
    trunk = copy_for(strategy, fit.trunk) if fit.trunk is not None else None
    copied = replace(fit, model=copy_for(strategy, fit.model), trunk=trunk)
    models = [copied.model] if trunk is None else [copied.model, trunk]
    with computing_in(precision, *models), _scope(strategy):
        loop = _Loop(copied, precision=precision, state=state, reporter=reporter, strategy=strategy)
        with reporter.task(stage.label, num_images * stage.epochs) as task:
            task.advance(num_images * loop.progress.epoch)
            while loop.progress.epoch < stage.epochs and not loop.progress.is_stopped:
                record = loop.run_epoch(task)
                _show_epoch(task, record, stage.epochs)
                if watch is not None:
                    watch(record)
    if loop.best_weights:
        fit.model.set_weights(loop.best_weights)
    return loop.progress


@dataclass(frozen=True, slots=True, kw_only=True)
class _Validation:
    """Scores of one epoch's weights on the validation images: log-loss in nats, accuracy in [0, 1]."""

    loss: float
    accuracy: float
    temperature: float = 1.0


class _Loop:
    """The training loop of one stage, from its checkpoint on.

    Attributes:
        progress: how far the stage has come.
        best_weights: of its best epoch; empty before the first.
    """

    def __init__(
        self,
        fit: NetworkFit,
        *,
        precision: Precision,
        state: Path,
        reporter: Reporter,
        strategy: tf.distribute.Strategy | None,
    ) -> None:
        self._fit, self._strategy, recipe, self._rate = fit, strategy, fit.recipe, 0.0
        weights = fit.model.trainable_variables
        factors = [1.0] * len(weights) if fit.factors is None else fit.factors
        self._updates = LayerwiseOptimizer(
            recipe.optimizer, weights, factors, weight_decay=recipe.weight_decay, momentum=recipe.momentum
        )
        average = [tf.Variable(weight.value, trainable=False) for weight in weights] if recipe.ema else []
        self._step = TrainingStep(
            fit.model,
            self._updates,
            StepOptions(clip=recipe.clip, label_smoothing=recipe.label_smoothing, precision=precision),
            trunk=fit.trunk,
            average=average,
            on_halved=lambda pieces: reporter.warn(f"memory ran out: each batch is now computed in {pieces} pieces"),
        )
        self._checkpoint = Checkpoint(fit.model, self._updates, average, state, fit.stage)
        self.progress, self.best_weights = self._checkpoint.load()
        self._step.state = self.progress.step_state

    def run_epoch(self, task: Task) -> EpochRecord:
        """Train for one epoch, validate, and save a checkpoint."""
        progress, began = self.progress, time.monotonic()
        loss, accuracy = self._train(task)
        weights = self._checkpoint.evaluated_weights()
        validation = self._validate(weights)
        if count_epoch(progress, validation.loss, self._fit.recipe):
            self.best_weights, progress.temperature = weights, validation.temperature
        record = EpochRecord(
            stage=self._fit.stage.label,
            epoch=progress.epoch,
            loss=loss,
            accuracy=accuracy,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            learning_rate=self._learning_rate(progress.epoch),
            seconds=round(time.monotonic() - began, 2),
        )
        progress.history.append(record)
        self._checkpoint.save(progress, self.best_weights)
        return record

    def _learning_rate(self, epochs_done: float) -> float:
        stage = self._fit.stage
        factor = rate_factor(self._fit.recipe, epochs_done, stage.epochs, self.progress.plateau_factor)
        return stage.learning_rate * factor

    def _train(self, task: Task) -> tuple[float, float]:
        """Train for one epoch; returns its mean loss and the share of images that were predicted correctly."""
        data, progress, began = self._fit.data, self.progress, time.monotonic()
        batches = _with_weights(data.train(progress.epoch))
        total_loss, num_correct, seen = 0.0, 0.0, 0
        shown, last_shown = 0, began
        for batch in self._strategy.experimental_distribute_dataset(batches) if self._strategy else batches:
            self._updates.set_rate(self._learning_rate(progress.epoch + min(1.0, seen / data.num_images)))
            # In the first steps, a long average would hardly leave the initial weights.
            momentum = min(self._fit.recipe.ema, (1 + progress.steps) / (10 + progress.steps))
            loss, correct, count = self._step.train(batch, momentum)
            progress.steps += 1
            total_loss, num_correct, seen = total_loss + loss, num_correct + correct, seen + int(count)
            if (now := time.monotonic()) - last_shown > SHOWN_SECONDS:
                latest = (seen - shown) / (now - last_shown)
                self._rate = latest if not self._rate else self._rate + NEW_RATE * (latest - self._rate)
                task.advance(seen - shown, loss=f"{total_loss / seen:.3f}", rate=f"{self._rate:,.0f} images/s")
                last_shown, shown = now, seen
        task.advance(data.num_images - shown)
        return total_loss / max(seen, 1), num_correct / max(seen, 1)

    def _validate(self, weights: WeightValues) -> _Validation:
        """Score weights on the validation images; the model keeps its own."""
        model = self._fit.model
        trained_weights = model.get_weights()
        model.set_weights(weights)
        probabilities, labels = gather_predictions(self._step.predict, self._fit.data.validation)
        model.set_weights(trained_weights)
        accuracy = float((probabilities.argmax(1) == labels).mean())
        if not self._fit.recipe.calibrate or not np.isfinite(probabilities).all():
            return _Validation(loss=float(losses(probabilities, labels).mean()), accuracy=accuracy)
        temperature = fit_cooling(probabilities, labels)
        calibrated = apply_temperature(probabilities, temperature)
        loss = float(losses(calibrated, labels).mean())
        return _Validation(loss=loss, accuracy=accuracy, temperature=temperature)


def _show_epoch(task: Task, record: EpochRecord, epochs: int) -> None:
    task.advance(0, loss=f"{record.loss:.3f}", accuracy=f"{record.validation_accuracy:.3f}")
    # No longer than a terminal is wide: the speed is beside the progress bar.
    if has_line(record.epoch, epochs):
        task.line(
            f"{record.stage} epoch {record.epoch}/{epochs}: loss {record.loss:.4f}, "
            f"validation loss {record.validation_loss:.4f}, accuracy {record.validation_accuracy:.4f}"
        )


def _with_weights(batches: Batches) -> Batches:
    """Batches of (inputs, labels, weights): weights of 1 where a tf.data dataset has none."""
    if not isinstance(batches, tf.data.Dataset) or len(batches.element_spec) == 3:
        return batches
    return batches.map(lambda inputs, labels: (inputs, labels, tf.ones(tf.shape(labels)[:1])))


def _scope(strategy: tf.distribute.Strategy | None) -> AbstractContextManager[object]:
    return (strategy or tf.distribute.get_strategy()).scope()
