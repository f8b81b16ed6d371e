"""Fit a network stage by stage: a head over a frozen base with fresh views, the top blocks, or everything.

Every epoch ends with its state on disk: killed at any moment, the same command goes on after the last whole epoch
and ends with the weights it would have had.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.precision import best_precision, computing_in
from models.updates import Updates
from pipelines.evaluation.calibration import cooled, cooling
from pipelines.evaluation.predictions import gather_predictions
from pipelines.fitting.checkpoint import Checkpoint, StageProgress
from pipelines.fitting.devices import all_devices, copy_for
from pipelines.fitting.step import Adapted, TrainingStep
from pipelines.runs.spec import Recipe, Stage
from pipelines.system.progress import Reporter, Task

Floats = NDArray[np.float32]
LEAST_GAIN = 1e-4
LEAST_RATE = 1e-3  # of the first learning rate: under it a plateau stops the stage
SHOWN_SECONDS = 0.2
PASSING_SECONDS = 1.0  # an epoch that takes less is told by the bar alone, where there is one
# An epoch's number -> its batches of (inputs, labels, weights) as a tf.data dataset, the same whenever it is asked
# for the same epoch. Labels are (batch,) int, or (batch, classes) where images are mixed; weights (batch,) may be left
# away.
Batches = Callable[[int], Any]


def fit_network(
    model: keras.Model,
    stage: Stage,
    recipe: Recipe,
    *,
    train: Batches,
    validation: Iterable[Any],
    num_images: int,
    state: Path,
    reporter: Reporter,
    trunk: keras.Model | None = None,
    factors: Sequence[float] | None = None,
    watch: Callable[[dict[str, Any]], None] | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> StageProgress:
    """Fit one stage and leave `model` with the weights of its best epoch.

    Args:
        model: what the batches hold -> probabilities (batch, classes), or a list of them of which the first counts
            and the others are auxiliary classifiers; layers that are to stay have `trainable=False`.
        stage: for how long and how fast.
        recipe: how.
        train: gives each epoch's batches.
        validation: batches of (inputs, labels) that decide rate, stop and best epoch.
        num_images: training images an epoch.
        state: folder that keeps what a killed stage needs to go on.
        reporter: where progress goes.
        trunk: what inputs pass before the model, as in inference; it stays as it is.
        factors: on the learning rate, one for each of `model.trainable_variables`; None for 1.
        watch: is given each epoch's record.
        strategy: the devices; None for all GPUs there are, or the CPU.

    Returns:
        Where it ended.

    Raises:
        UserError: memory does not suffice for a single image.
    """
    strategy = strategy or all_devices()
    precision = best_precision() if recipe.precision == "auto" else recipe.precision
    twin, below = copy_for(strategy, model, trunk)
    with computing_in(precision, twin, *([below] if below is not None else [])), _scope(strategy):
        weights = twin.trainable_variables
        rates = list(factors) if factors is not None else [1.0] * len(weights)
        updates = Updates(recipe.optimizer, weights, rates, weight_decay=recipe.weight_decay)
        average = [tf.Variable(weight.value, trainable=False) for weight in weights] if recipe.ema else []
        step = TrainingStep(
            twin,
            updates,
            trunk=below,
            clip=recipe.clip,
            label_smoothing=recipe.label_smoothing,
            ema=average,
            precision=precision,
            strategy=strategy,
            on_halved=lambda pieces: reporter.warn(
                f"memory ran out: each batch is computed in {pieces} pieces from here"
            ),
        )
        keeper = Checkpoint(twin, updates, average, state, stage)
        progress, best = keeper.load()
        step.adapted = Adapted(**progress.adapted)
        with reporter.task(stage.label, num_images * stage.epochs) as task:
            task.advance(num_images * progress.epoch)
            while progress.epoch < stage.epochs and not progress.stopped:
                began = time.monotonic()
                loss, accuracy = _epoch(step, updates, train, progress, (stage, recipe), num_images, strategy, task)
                judged = keeper.judged()
                found, right, temperature = _judged(step, validation, judged, twin, calibrate=recipe.calibrate)
                if _better(progress, found, recipe):
                    best, progress.temperature = judged, temperature
                record = {
                    "stage": stage.label,
                    "epoch": progress.epoch,
                    "loss": loss,
                    "accuracy": accuracy,
                    "validation_loss": found,
                    "validation_accuracy": right,
                    "learning_rate": stage.learning_rate * _factor(progress, progress.epoch, stage, recipe),
                    "seconds": round(time.monotonic() - began, 2),
                }
                progress.history.append(record)
                progress.adapted = asdict(step.adapted)
                keeper.save(progress, best)
                _say(task, record, stage)
                if watch is not None:
                    watch(record)
    if best:
        model.set_weights(best)
    return progress


def log_loss(probabilities: NDArray[Any], labels: NDArray[np.int32]) -> float:
    """Mean negative log of the probability of the right class."""
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-15, None)).mean())


def _epoch(
    step: TrainingStep,
    updates: Updates,
    train: Batches,
    progress: StageProgress,
    plan: tuple[Stage, Recipe],
    num_images: int,
    strategy: tf.distribute.Strategy | None,
    task: Task,
) -> tuple[float, float]:
    """Fit one epoch; its mean loss and the share of images that were right."""
    (stage, recipe), began = plan, time.monotonic()
    batches = _weighted(train(progress.epoch))
    total, hits, seen, shown = 0.0, 0.0, 0, 0
    last = began
    for batch in strategy.experimental_distribute_dataset(batches) if strategy else batches:
        moment = progress.epoch + min(1.0, seen / num_images)
        updates.set_rate(stage.learning_rate * _factor(progress, moment, stage, recipe))
        # At first a long average would remember the start for too long.
        momentum = min(recipe.ema, (1 + progress.steps) / (10 + progress.steps))
        loss, right, count = step.train(batch, momentum)
        progress.steps += 1
        total, hits, seen = total + loss, hits + right, seen + int(count)
        if (now := time.monotonic()) - last > SHOWN_SECONDS:
            task.advance(seen - shown, loss=f"{total / seen:.3f}", rate=f"{seen / (now - began):,.0f} images/s")
            last, shown = now, seen
    task.advance(num_images - shown)
    return total / max(seen, 1), hits / max(seen, 1)


def _judged(
    step: TrainingStep, validation: Iterable[Any], weights: list[Floats], twin: keras.Model, *, calibrate: bool
) -> tuple[float, float, float]:
    """Validation log-loss, accuracy and temperature with these weights; the model keeps its own."""
    own = twin.get_weights()
    twin.set_weights(weights)
    probabilities, labels = gather_predictions(step.predict, validation)
    twin.set_weights(own)
    accuracy = float((probabilities.argmax(1) == labels).mean())
    if not calibrate or not np.isfinite(probabilities).all():
        return log_loss(probabilities, labels), accuracy, 1.0
    temperature = cooling(probabilities, labels)
    return log_loss(cooled(probabilities, temperature), labels), accuracy, temperature


def _factor(progress: StageProgress, moment: float, stage: Stage, recipe: Recipe) -> float:
    return rate_factor(recipe, moment, stage.epochs, progress.rate)


def _better(progress: StageProgress, found: float, recipe: Recipe) -> bool:
    """Count one epoch; lower the rate or stop when it is time; say whether it was the best so far."""
    progress.epoch += 1
    if found < progress.best_loss - LEAST_GAIN:
        progress.best_loss, progress.best_epoch = found, progress.epoch
        progress.since = progress.plateau = 0
        return True
    progress.since += 1
    progress.plateau += 1
    if recipe.schedule == "plateau" and progress.plateau >= max(2, recipe.patience // 2):
        progress.plateau = 0
        progress.rate /= 10
    progress.stopped = progress.since >= recipe.patience or progress.rate < LEAST_RATE
    return False


def _say(task: Task, record: dict[str, Any], stage: Stage) -> None:
    task.advance(0, loss=f"{record['loss']:.3f}", accuracy=f"{record['validation_accuracy']:.3f}")
    # As long as a terminal is wide: the bar says how fast it goes.
    task.line(
        f"{stage.label} epoch {record['epoch']}/{stage.epochs}: loss {record['loss']:.4f}, "
        f"validation loss {record['validation_loss']:.4f}, accuracy {record['validation_accuracy']:.4f}",
        passing=record["seconds"] < PASSING_SECONDS,
    )


def _weighted(batches: Any) -> Any:
    """Batches of (inputs, labels, weights), whether or not they came with weights."""
    if not isinstance(batches, tf.data.Dataset) or len(batches.element_spec) == 3:
        return batches
    return batches.map(lambda inputs, labels: (inputs, labels, tf.ones(tf.shape(labels)[:1])))


def _scope(strategy: tf.distribute.Strategy | None) -> Any:
    return (strategy or tf.distribute.get_strategy()).scope()


FLOOR = 0.01  # of the rate, at the end of a cosine: the last steps still do something


def rate_factor(recipe: Recipe, moment: float, epochs: int, plateau: float = 1.0) -> float:
    """How much of the stage's learning rate holds at a moment.

    Args:
        recipe: with `schedule` and `warm_up`.
        moment: epochs done, with the part of the current one, in [0, epochs].
        epochs: of the whole stage.
        plateau: factor by which plateaus have lowered the rate so far; a cosine does not heed them.

    Returns:
        A factor in (0, 1]: rising in a straight line through the warm-up, then following half a cosine down, or what
        plateaus left.
    """
    warm = min(recipe.warm_up, epochs / 2)
    if moment < warm:
        return max(FLOOR, moment / warm)
    if recipe.schedule == "plateau":
        return plateau
    through = min(1.0, (moment - warm) / max(epochs - warm, 1e-9))
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * through))
