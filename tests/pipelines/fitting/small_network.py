"""A network that trains in a second, its images, and the ways to fit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from models.arrays import Labels, Pixels, Probabilities
from models.optimizer import LayerwiseOptimizer
from pipelines.fitting.checkpoint import StageProgress
from pipelines.fitting.network import FitData, NetworkFit, fit_network
from pipelines.fitting.step import StepOptions, TrainingStep
from pipelines.runs.stages import Recipe, Stage
from pipelines.system.progress import Silent

STAGE = Stage(name="fine-tune", unfreeze="all", epochs=4, learning_rate=3e-3)
ONE_EPOCH = Stage(name="head", unfreeze="none", epochs=1, learning_rate=1e-3)
PLAIN = Recipe()
FULL = Recipe(optimizer="adamw", schedule="cosine", warm_up=1.0, clip=1.0, label_smoothing=0.1, ema=0.9)
NUM_IMAGES, BATCH = 48, 16


def build_network(dropout: float = 0.3) -> keras.Model:
    """Pixels (8, 8, 3) -> probabilities of 3 classes, always with the same weights."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, use_bias=False, name="block1_conv")(pixels)
    x = layers.BatchNormalization(name="block1_norm")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(8, 3, name="block2_conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(pixels, layers.Dense(3, activation="softmax", name="probabilities")(x))


def build_with_frozen_norm(dropout: float = 0.0) -> keras.Model:
    """The same with a frozen BatchNormalization: a step does not depend on how a batch is split."""
    model = build_network(dropout=dropout)
    model.get_layer("block1_norm").trainable = False
    return model


def draw_images(seed: int = 0, count: int = NUM_IMAGES) -> tuple[Pixels, Labels]:
    """Noise in which one channel is brighter, that of the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count).astype(np.int32)
    pixels = random.normal(size=(count, 8, 8, 3)).astype(np.float32)
    pixels[np.arange(count), :, :, labels] += 1.0
    return pixels, labels


def training_batches(epoch: int) -> tf.data.Dataset:
    pixels, labels = draw_images()
    order = np.random.default_rng((7, epoch)).permutation(len(labels))
    values = (pixels[order], labels[order], np.ones(len(labels), np.float32))
    return tf.data.Dataset.from_tensor_slices(values).batch(BATCH)


def validation_batches() -> list[tuple[Pixels, Labels]]:
    return [draw_images(seed=1)]


def fit(
    model: keras.Model,
    state: Path,
    *,
    stage: Stage = STAGE,
    recipe: Recipe = PLAIN,
    train: Callable[[int], Any] = training_batches,
    **options: Any,
) -> StageProgress:
    """Fit one stage on the images above; `options` are those of `fit_network`."""
    data = FitData(train=train, validation=validation_batches(), num_images=NUM_IMAGES)
    network = NetworkFit(model=model, stage=stage, recipe=recipe, data=data)
    return fit_network(network, **{"state": state, "reporter": Silent(), **options})


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Mean of -log(probability of the true class), nats."""
    chosen = probabilities.astype(np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).eps)).mean())


def step_of(
    model: keras.Model, optimizer: str = "sgd", options: StepOptions | None = None, **named: Any
) -> TrainingStep:
    """A training step with learning rate 0.1; `named` are arguments of `TrainingStep`."""
    variables = model.trainable_variables
    updates = LayerwiseOptimizer(optimizer, variables, [1.0] * len(variables))
    updates.set_rate(0.1)
    return TrainingStep(model, updates, options, **named)


def batch_of(count: int) -> tuple[Any, Any, Any]:
    """Tensors of pixels, labels and weights that differ."""
    pixels, labels = draw_images(count=count)
    return tf.constant(pixels), tf.constant(labels), tf.constant(np.linspace(0.5, 1.5, count), tf.float32)


def values_of(variable: Any) -> Any:
    """The value of a Keras variable as an array."""
    return variable.value.numpy()
