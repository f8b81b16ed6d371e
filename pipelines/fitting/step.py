"""Trains a network on one batch: computes the gradients, in pieces where memory is short, and steps the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from models.arrays import Tensor
from models.errors import UserError
from models.googlenet import AUXILIARY_WEIGHT
from models.optimizer import LayerwiseOptimizer
from models.precision import Precision

# TensorFlow ships no types. A tensor, or with several devices one tensor for each of them.
FIRST_SCALE = 2.0**15  # of float16 losses
DOUBLING_STEPS = 2000  # with finite gradients, before the scale is doubled


@dataclass(slots=True, kw_only=True)
class StepState:
    """Settings that a training step adapts to the machine as it runs; checkpoints keep them.

    Attributes:
        pieces: in how many pieces a batch is computed.
        loss_scale: factor on the loss that keeps small float16 gradients from vanishing.
        finite_steps: steps with finite gradients since that factor last changed.
    """

    pieces: int = 1
    loss_scale: float = FIRST_SCALE
    finite_steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """How a training step computes.

    Attributes:
        clip: greatest global norm of the gradients; None for no limit.
        label_smoothing: share in [0, 1) of each label that is spread over all classes.
        precision: of the model's layers; with float16, the loss is scaled.
    """

    clip: float | None = None
    label_smoothing: float = 0.0
    precision: Precision = "float32"


class TrainingStep:
    """The training step of a model, and its predictions.

    It spreads each batch over the devices of the `tf.distribute` strategy in whose scope it is built.

    Attributes:
        model: the network in training.
        state: its settings for this machine.
    """

    def __init__(
        self,
        model: keras.Model,
        updates: LayerwiseOptimizer,
        options: StepOptions | None = None,
        *,
        trunk: keras.Model | None = None,
        average: Sequence[tf.Variable] = (),
        on_halved: Callable[[int], None] = lambda pieces: None,
    ) -> None:
        """Prepare the step.

        Args:
            model: inputs -> probabilities (batch, classes), or a list of them: the first has weight 1 in the loss, the
                others are auxiliary classifiers and have weight 0.3.
            updates: steps `model.trainable_variables`.
            options: how it computes; None for the defaults.
            trunk: frozen layers below the model: they run as in inference, and get no gradient.
            average: one variable for each trainable weight, its moving average; none for no average.
            on_halved: called with the new number of pieces when memory ran out.
        """
        self.model, self.state = model, StepState()
        self._trunk, self._updates, self._options = trunk, updates, options or StepOptions()
        self._average, self._on_halved = average, on_halved
        self._strategy = tf.distribute.get_strategy()
        # Without XLA: MirroredStrategy does not support it, and every new batch size would be compiled again.
        self._batch_gradients = self._on_each_device(self._run_batch_gradients)
        self._piece_gradients = self._on_each_device(self._run_piece_gradients)
        self._add = self._on_each_device(lambda first, second: [a + b for a, b in zip(first, second, strict=True)])
        self._apply = self._on_each_device(self._run_apply)
        self._update_average = tf.function(self._run_update_average)
        self._predict = tf.function(self._run_predict, reduce_retracing=True)

    def _on_each_device(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A compiled function that every device runs on its part of the arguments."""
        return tf.function(lambda *args: self._strategy.run(function, args=args), reduce_retracing=True)

    def predict(self, inputs: Tensor) -> Tensor:
        """Probabilities (batch, classes) float32, computed in the precision of training."""
        return self._predict(inputs)

    def train(self, batch: tuple[Tensor, Tensor, Tensor], momentum: float = 0.0) -> tuple[float, float, float]:
        """Train on one batch.

        A batch that does not fit into memory is computed again in twice as many pieces, whose gradients are summed: the
        update is that of the whole batch. (Only BatchNormalization layers that are trained see smaller batches.)

        Args:
            batch: inputs, labels (batch,) or class shares (batch, classes), weights (batch,).
            momentum: of the moving average of the weights, in [0, 1).

        Returns:
            The sum of the losses of its images, nats; how many images were predicted correctly; how many there are.

        Raises:
            UserError: not even one image fits into memory.
        """
        count = int(sum(tf.shape(part)[0] for part in self._strategy.experimental_local_results(batch[1])))
        gradients, sums = self._fitting_gradients(batch, count)
        if self._check_gradients(gradients):
            self._apply(gradients, tf.constant(float(count)), self._loss_factor)
            if self._average:
                self._update_average(tf.constant(momentum))
        loss, correct = (float(total) for total in sums)
        return loss, correct, count

    def _fitting_gradients(self, batch: tuple[Tensor, Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
        """Gradients of a batch, in as many pieces as memory needs."""
        while True:
            try:
                return self._summed_gradients(batch)
            except tf.errors.ResourceExhaustedError as error:
                if self.state.pieces * 2 * self._strategy.num_replicas_in_sync > count:
                    raise UserError(
                        "not enough memory to train on one image", "train fewer blocks, or use smaller images"
                    ) from error
                self.state.pieces *= 2
                self._on_halved(self.state.pieces)

    def _summed_gradients(self, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Gradients of the sum of the losses, a list a device, and the loss and hits summed over all devices."""
        if self.state.pieces == 1:
            gradients, sums = self._batch_gradients(*batch, self._loss_factor)
        else:
            pieces = tf.constant(self.state.pieces)
            gradients, sums = self._piece_gradients(*batch, self._loss_factor, tf.constant(0), pieces)
            for piece in range(1, self.state.pieces):
                more, more_sums = self._piece_gradients(*batch, self._loss_factor, tf.constant(piece), pieces)
                gradients, sums = self._add(gradients, more), self._add(sums, more_sums)
        reduced = [self._strategy.reduce(tf.distribute.ReduceOp.SUM, total, axis=None) for total in sums]
        return gradients, reduced

    @property
    def _is_scaled(self) -> bool:
        return self._options.precision == "float16"

    @property
    def _loss_factor(self) -> Tensor:
        return tf.constant(self.state.loss_scale if self._is_scaled else 1.0)

    def _check_gradients(self, gradients: Tensor) -> bool:
        """Whether to step: float16 gradients that overflow halve the scale instead; many finite ones double it."""
        if not self._is_scaled:
            return True
        parts = [part for gradient in gradients for part in self._strategy.experimental_local_results(gradient)]
        is_finite = bool(tf.reduce_all([tf.reduce_all(tf.math.is_finite(part)) for part in parts]))
        state = self.state
        state.finite_steps = state.finite_steps + 1 if is_finite else 0
        if not is_finite:
            state.loss_scale = max(1.0, state.loss_scale / 2)
        elif state.finite_steps >= DOUBLING_STEPS:
            state.finite_steps, state.loss_scale = 0, state.loss_scale * 2
        return is_finite

    def _run_piece_gradients(
        self, inputs: Tensor, labels: Tensor, weights: Tensor, scale: Tensor, piece: Tensor, pieces: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self._run_batch_gradients(inputs[piece::pieces], labels[piece::pieces], weights[piece::pieces], scale)

    def _run_batch_gradients(
        self, inputs: Tensor, labels: Tensor, weights: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        inputs = tf.cast(inputs, tf.float32)
        if self._trunk is not None:
            inputs = tf.stop_gradient(self._trunk(inputs, training=False))
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            main, *auxiliary = outputs if isinstance(outputs, list | tuple) else [outputs]
            targets = self._targets(labels, main.shape[-1])
            # In a graph, Keras takes the logits before the softmax: the loss stays finite at a probability of 0.
            losses = keras.ops.categorical_crossentropy(targets, main)
            for probabilities in auxiliary:
                losses += AUXILIARY_WEIGHT * keras.ops.categorical_crossentropy(targets, probabilities)
            loss = tf.reduce_sum(losses * tf.cast(weights, tf.float32))
            penalty = tf.add_n(self.model.losses) if self.model.losses else 0.0
            total = (loss + penalty * tf.cast(tf.shape(main)[0], tf.float32)) * scale
        gradients = tape.gradient(
            total, [weight.value for weight in self.model.trainable_variables], unconnected_gradients="zero"
        )
        correct = tf.reduce_sum(tf.cast(tf.argmax(main, -1) == tf.argmax(targets, -1), tf.float32))
        return gradients, [loss, correct]

    def _targets(self, labels: Tensor, num_classes: int) -> Tensor:
        shares = tf.one_hot(labels, num_classes) if len(labels.shape) == 1 else tf.cast(labels, tf.float32)
        smoothing = self._options.label_smoothing
        return shares * (1 - smoothing) + smoothing / num_classes

    def _run_apply(self, gradients: Tensor, count: Tensor, scale: Tensor) -> None:
        replica = tf.distribute.get_replica_context()
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients = [gradient / (count * scale) for gradient in gradients]
        if self._options.clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self._options.clip)
        # The optimizer sums over the devices once more.
        self._updates.apply([gradient / replica.num_replicas_in_sync for gradient in gradients])

    def _run_update_average(self, momentum: Tensor) -> None:
        for average, weight in zip(self._average, self.model.trainable_variables, strict=True):
            average.assign(momentum * average + (1 - momentum) * weight.value)

    def _run_predict(self, inputs: Tensor) -> Tensor:
        inputs = tf.cast(inputs, tf.float32)
        activations = inputs if self._trunk is None else self._trunk(inputs, training=False)
        outputs = self.model(activations, training=False)
        return outputs[0] if isinstance(outputs, list | tuple) else outputs
