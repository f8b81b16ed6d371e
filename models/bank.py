"""Trains a bank of heads: many heads on the same features, in one pass.

All heads of a bank see the same batches; each has its own L2 strength, learning rate, dropout and seed. Their weights
are stacked along an axis that counts the heads, so that one matrix product computes all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import keras
import numpy as np
import tensorflow as tf

from models.bank_network import build_network, heads_axis, standalone_head
from models.optimizer import ADAMW_DECAY, MOMENTUM

if TYPE_CHECKING:
    from models.arrays import FeatureRows, Flags, Labels, Singles, Tensor, Weights
    from models.heads import Candidate, Head

Optimizer = Literal["adam", "adamw", "sgd"]


class Bank:
    """The heads of `candidates`, training together.

    Attributes:
        head: the shape that all heads share.
        candidates: the hyperparameters, one record a head, in the order of the heads.
        mean: (features,) subtracted from the features.
        scale: (features,) divides the centred features.
        rates: (heads,) factors on the first learning rate of each head; 0 stops a head.
        model: the network of all heads: standardised features -> logits (batch, heads, classes).
    """

    def __init__(
        self,
        head: Head,
        candidates: tuple[Candidate, ...],
        *,
        num_classes: int,
        optimizer: Optimizer,
        mean: Singles,
        scale: Singles,
    ) -> None:
        """Build the bank.

        Args:
            head: the shape that all heads share.
            candidates: the hyperparameters, one record a head.
            num_classes: number of classes.
            optimizer: name of the update rule.
            mean: (features,) subtracted from the features.
            scale: (features,) divides the centred features.
        """
        self.head, self.candidates = head, candidates
        self.mean, self.scale = mean, scale
        self.rates = np.ones(len(candidates), np.float32)
        self.model = build_network(head, candidates, len(mean), num_classes)
        self._axes = {variable.path: heads_axis(head, variable) for variable in self._weights()}
        self._variables = self.model.trainable_variables
        self._optimizer = {
            "adam": lambda: keras.optimizers.Adam(1.0),
            "adamw": lambda: keras.optimizers.AdamW(1.0, weight_decay=ADAMW_DECAY),
            "sgd": lambda: keras.optimizers.SGD(1.0, momentum=MOMENTUM, nesterov=True),
        }[optimizer]()
        self._optimizer.build(self._variables)
        # XLA fuses the twenty passes over the weights into a few: that saves a third of the step of 64 heads.
        self._update = tf.function(self._apply, autograph=False, jit_compile=True)
        self._step = tf.function(self._train_step, autograph=False, reduce_retracing=True)
        self._judge = tf.function(self._judge_batch, autograph=False, reduce_retracing=True)

    def step(self, features: FeatureRows, labels: Labels, weights: Weights) -> tuple[Singles, Singles]:
        """Fit one batch; returns (heads,) losses before the step in nats, and (heads,) shares predicted correctly.

        Args:
            features: (batch, features) of the backbone, not standardised.
            labels: (batch,) class indices.
            weights: (batch,) weights of the images, not all zero.
        """
        first = np.asarray([candidate.learning_rate for candidate in self.candidates], np.float32)
        losses, shares = self._step(features, labels, weights, first * self.rates)
        return np.asarray(losses, np.float32), np.asarray(shares, np.float32)

    def judge(self, features: FeatureRows, labels: Labels) -> tuple[Singles, Flags]:
        """Score one batch without keeping its probabilities, which thousands of classes make large.

        Args:
            features: (batch, features) of the backbone, not standardised.
            labels: (batch,) class indices.

        Returns:
            The losses (heads, batch) in nats, and whether each head's most probable class is the true one, of the
            same shape.
        """
        losses, is_correct = self._judge(features, labels)
        return losses.numpy(), is_correct.numpy()

    def state(self) -> list[Weights]:
        """Copy all weights of the heads; the first axis of each array counts the heads."""
        return [self._heads_first(variable) for variable in self._weights()]

    def head_model(self, number: int, state: list[Weights]) -> keras.Model:
        """Build head `number` with its weights in `state` as a model of its own: raw features -> probabilities."""
        weights = {
            "/".join(variable.path.split("/")[-2:]): value[number]
            for variable, value in zip(self._weights(), state, strict=True)
        }
        return standalone_head(self.head, self.candidates[number], weights, mean=self.mean, scale=self.scale)

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.scale

    def _judge_batch(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(self._standardised(features))
        targets = tf.tile(labels[:, None], [1, len(self.candidates)])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        is_correct = tf.argmax(logits, axis=-1, output_type=labels.dtype) == targets
        return tf.transpose(losses), tf.transpose(is_correct)

    def _train_step(self, features: Tensor, labels: Tensor, weights: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        count = len(self.candidates)
        with tf.GradientTape() as tape:
            logits = self.model(self._standardised(features), training=True)
            targets = tf.tile(labels[:, None], [1, count])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_sum(losses * weights[:, None], axis=0) / tf.reduce_sum(weights)
            total = tf.reduce_sum(loss)
        gradients = tape.gradient(total, [variable.value for variable in self._variables])
        self._update(gradients, rates)
        is_correct = tf.cast(tf.argmax(logits, axis=-1, output_type=labels.dtype) == targets, weights.dtype)
        return loss, tf.reduce_sum(is_correct * weights[:, None], axis=0) / tf.reduce_sum(weights)

    def _apply(self, gradients: list[Tensor], rates: Tensor) -> None:
        strengths = tf.constant([candidate.l2 for candidate in self.candidates], tf.float32)
        previous = [tf.identity(variable.value) for variable in self._variables]
        # The gradient of the penalty is written out, which is faster than to record the penalty on the tape.
        penalised = [
            gradient + self._align(strengths, variable) * value if variable.path.endswith("kernel") else gradient
            for gradient, variable, value in zip(gradients, self._variables, previous, strict=True)
        ]
        self._optimizer.apply(penalised, self._variables)
        # The optimizer steps at rate 1; each head then goes its own rate's share of that step, under every rule.
        for variable, value in zip(self._variables, previous, strict=True):
            factor = self._align(rates, variable)
            variable.assign(value + factor * (variable.value - value))

    def _align(self, per_head: Tensor, variable: keras.Variable) -> Tensor:
        """Reshape (heads,) so that it multiplies `variable` head by head."""
        axis, count = self._axes[variable.path], len(self.candidates)
        if axis is None:
            return tf.repeat(per_head, variable.shape[0] // count)
        return tf.reshape(per_head, [count if index == axis else 1 for index in range(len(variable.shape))])

    def _weights(self) -> list[keras.Variable]:
        """List the variables of the heads, without the states of seed generators."""
        return [variable for variable in self.model.variables if "seed_generator" not in variable.path]

    def _heads_first(self, variable: keras.Variable) -> Weights:
        axis, value = self._axes[variable.path], variable.numpy()
        if axis is None:
            return np.array(value).reshape(len(self.candidates), -1)
        # Copied, because the variable goes on changing.
        return np.moveaxis(np.array(value), axis, 0)
