"""A bank of heads: many heads on the same features, fitted in one pass.

All heads of a bank see the same batches; each has its own L2 strength, learning rate, dropout and seed. Their
weights lie side by side along a heads axis, so one matrix product serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from models.heads import Head, build_head

Floats = NDArray[np.float32]
Optimizer = Literal["adam", "adamw", "sgd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What one head of the bank is trained with.

    Attributes:
        l2: strength of the penalty `l2 / 2 * sum(kernel ** 2)` on standardised features.
        learning_rate: its first learning rate.
        dropout: rate in [0, 1).
        seed: of its initial weights.
    """

    l2: float
    learning_rate: float
    dropout: float
    seed: int


class HeadDropout(layers.Layer):
    """Dropout with a rate of its own for each head: (batch, heads, units) -> the same shape."""

    def __init__(self, rates: tuple[float, ...], seed: int) -> None:
        super().__init__()
        self.keep = 1.0 - np.asarray(rates, np.float32)[None, :, None]
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop units in training; scale so that the expectation stays."""
        if not training:
            return inputs
        draw = keras.random.uniform(keras.ops.shape(inputs), seed=self.seeds)
        return inputs * keras.ops.cast(draw < self.keep, inputs.dtype) / self.keep


class Bank:
    """The heads of `candidates`, training together.

    Attributes:
        candidates: what each head is trained with, in the order of the heads axis.
        rates: (heads,) factors on each head's first learning rate; 0 stops a head.
    """

    def __init__(
        self,
        head: Head,
        candidates: tuple[Candidate, ...],
        *,
        num_features: int,
        num_classes: int,
        optimizer: Optimizer,
        mean: Floats,
        scale: Floats,
    ) -> None:
        """Build the bank.

        Args:
            head: the shape that all heads share.
            candidates: one for each head.
            num_features: length of a feature vector.
            num_classes: number of classes.
            optimizer: which one steps the weights.
            mean: (num_features,) subtracted from the features.
            scale: (num_features,) by which they are divided then.
        """
        self.head, self.candidates = head, candidates
        self.mean, self.scale = mean, scale
        self.num_classes = num_classes
        self.rates = np.ones(len(candidates), np.float32)
        self.model = self._build(num_features)
        self._variables = self.model.trainable_variables
        self._optimizer = {
            "adam": lambda: keras.optimizers.Adam(1.0),
            "adamw": lambda: keras.optimizers.AdamW(1.0, weight_decay=1e-4),
            "sgd": lambda: keras.optimizers.SGD(1.0, momentum=0.9, nesterov=True),
        }[optimizer]()
        self._optimizer.build(self._variables)
        # Compiled, the update's twenty passes over the weights become a few: for 64 heads a third of the step.
        self._update = tf.function(self._apply, jit_compile=True)
        self._step = tf.function(self._train_step, reduce_retracing=True)
        self._logits = tf.function(lambda features: self.model(self._standard(features)), reduce_retracing=True)

    def _build(self, num_features: int) -> keras.Model:
        count, classes = len(self.candidates), self.num_classes
        features = keras.Input((num_features,))
        dropouts = tuple(candidate.dropout for candidate in self.candidates)
        seed = self.candidates[0].seed
        if self.head.hidden:
            bias = None if self.head.batch_norm else "hk"
            hidden = layers.EinsumDense("bd,dhk->bhk", (count, self.head.hidden), bias_axes=bias, name="hidden")
            x = hidden(features)
            if self.head.batch_norm:
                # BatchNormalization knows one channel axis: heads and units share it.
                x = layers.Reshape((count * self.head.hidden,))(x)
                x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
                x = layers.Reshape((count, self.head.hidden))(x)
            x = layers.ReLU()(x)
            if any(dropouts):
                x = HeadDropout(dropouts, seed)(x)
            output = layers.EinsumDense("bhk,hkc->bhc", (count, classes), bias_axes="hc", name="probabilities")
        elif any(dropouts):
            x = layers.RepeatVector(count)(features)
            x = HeadDropout(dropouts, seed)(x)
            output = layers.EinsumDense("bhd,dhc->bhc", (count, classes), bias_axes="hc", name="probabilities")
        else:
            x = features
            output = layers.EinsumDense("bd,dhc->bhc", (count, classes), bias_axes="hc", name="probabilities")
        model = keras.Model(features, output(x))
        self._initialise(model, num_features)
        return model

    def _initialise(self, model: keras.Model, num_features: int) -> None:
        """Give each head the weights that its own seed draws; a linear head is convex and starts at zero."""
        output = model.get_layer("probabilities")
        if not self.head.hidden:
            output.kernel.assign(np.zeros(output.kernel.shape, np.float32))
            return
        hidden = model.get_layer("hidden")
        first = np.zeros(hidden.kernel.shape, np.float32)
        last = np.zeros(output.kernel.shape, np.float32)
        for number, candidate in enumerate(self.candidates):
            he, glorot = (keras.initializers.HeNormal(candidate.seed), keras.initializers.GlorotUniform(candidate.seed))
            first[:, number] = he((num_features, self.head.hidden)).numpy()
            last[number] = glorot((self.head.hidden, self.num_classes)).numpy()
        hidden.kernel.assign(first)
        output.kernel.assign(last)

    def _standard(self, features: tf.Tensor) -> tf.Tensor:
        return (features - self.mean) / self.scale

    def _heads_axis(self, variable: keras.Variable) -> int:
        """Which axis of a variable counts the heads (-1: heads and units share the only one)."""
        if len(variable.shape) == 1:
            return -1
        return 1 if variable.path.endswith("kernel") and variable.shape[0] != len(self.candidates) else 0

    def _train_step(self, features: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
        count = len(self.candidates)
        with tf.GradientTape() as tape:
            logits = self.model(self._standard(features), training=True)
            targets = tf.tile(labels[:, None], [1, count])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            data = tf.reduce_sum(losses * weights[:, None], axis=0) / tf.reduce_sum(weights)
            total = tf.reduce_sum(data)
        gradients = tape.gradient(total, [variable.value for variable in self._variables])
        self._update(gradients, rates)
        return data

    def _apply(self, gradients: list[tf.Tensor], rates: tf.Tensor) -> None:
        strengths = tf.constant([candidate.l2 for candidate in self.candidates], tf.float32)
        before = [tf.identity(variable.value) for variable in self._variables]
        # The penalty's gradient by hand: the tape would take longer to find it.
        penalised = [
            gradient + self._spread(strengths, variable) * old if variable.path.endswith("kernel") else gradient
            for gradient, variable, old in zip(gradients, self._variables, before, strict=True)
        ]
        self._optimizer.apply(penalised, self._variables)
        # The optimiser steps at rate 1; scaling that step gives each head a rate of its own, whatever the rule.
        for variable, old in zip(self._variables, before, strict=True):
            factor = self._spread(rates, variable)
            variable.assign(old + factor * (variable.value - old))

    def _spread(self, per_head: tf.Tensor, variable: keras.Variable) -> tf.Tensor:
        """Shape (heads,) so that it multiplies `variable` head by head."""
        axis, count = self._axes[variable.path], len(self.candidates)
        if axis == -1:
            return tf.repeat(per_head, variable.shape[0] // count)
        return tf.reshape(per_head, [count if each == axis else 1 for each in range(len(variable.shape))])

    @property
    def _axes(self) -> dict[str, int]:
        return {variable.path: self._heads_axis(variable) for variable in self.model.variables}

    def step(self, features: Floats, labels: NDArray[np.int32], weights: Floats) -> Floats:
        """Fit one batch and return the (heads,) losses before the step.

        Args:
            features: (batch, num_features), as the backbone gives them.
            labels: (batch,) class indices.
            weights: (batch,) weights of the images, not all zero.
        """
        first = np.asarray([candidate.learning_rate for candidate in self.candidates], np.float32)
        losses: Floats = self._step(features, labels, weights, first * self.rates).numpy()
        return losses

    def logits(self, features: Floats) -> Floats:
        """Logits (heads, batch, classes) of features (batch, num_features)."""
        return np.moveaxis(self._logits(features).numpy(), 1, 0)

    def state(self) -> list[Floats]:
        """A copy of all weights that belong to heads, each with the heads axis first."""
        return [self._heads_first(variable) for variable in self._kept()]

    def _kept(self) -> list[keras.Variable]:
        return [variable for variable in self.model.variables if "seed_generator" not in variable.path]

    def _heads_first(self, variable: keras.Variable) -> Floats:
        axis, value = self._axes[variable.path], variable.numpy()
        if axis == -1:
            return value.reshape(len(self.candidates), -1)
        return np.moveaxis(value, axis, 0)

    def head_model(self, number: int, state: list[Floats]) -> keras.Model:
        """Head `number` with the weights it has in `state`, as a plain model on raw features.

        The standardisation of the features is folded into the first layer, so nothing but Keras' own layers is left.
        """
        weights = {variable.path: value[number] for variable, value in zip(self._kept(), state, strict=True)}

        def find(name: str) -> Floats:
            return next(value for path, value in weights.items() if path.endswith(name))

        kernel = find("hidden/kernel" if self.head.hidden else "probabilities/kernel")
        folded = kernel / self.scale[:, None]
        shift = -(self.mean / self.scale) @ kernel
        model = build_head(
            self.head,
            num_features=len(self.mean),
            num_classes=self.num_classes,
            dropout=self.candidates[number].dropout,
        )
        if not self.head.hidden:
            model.get_layer("probabilities").set_weights([folded, find("probabilities/bias") + shift])
            return model
        output = [find("probabilities/kernel"), find("probabilities/bias")]
        model.get_layer("probabilities").set_weights(output)
        if self.head.batch_norm:
            norm = model.get_layer("norm")
            values = {name: find(f"norm/{name}") for name in ("gamma", "beta", "moving_mean", "moving_variance")}
            # No bias before the normalisation: the folded shift goes into its moving mean.
            values["moving_mean"] -= shift
            norm.set_weights([values[weight.name] for weight in norm.weights])
            model.get_layer("hidden").set_weights([folded])
        else:
            model.get_layer("hidden").set_weights([folded, find("hidden/bias") + shift])
        return model
