"""One training step: loss, gradients in as many pieces as memory asks for, and the update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from models.errors import UserError
from models.googlenet import AUXILIARY_WEIGHT
from models.precision import Precision
from models.updates import Updates

FIRST_SCALE, CALM_STEPS = 2.0**15, 2000  # of float16 gradients; finite steps before the scale is doubled


@dataclass(slots=True, kw_only=True)
class Adapted:
    """What a step has learnt about the machine; it outlives an interruption.

    Attributes:
        pieces: in how many pieces a batch is computed.
        scale: factor on the loss that keeps small float16 gradients from vanishing.
        calm: steps since that factor last changed.
    """

    pieces: int = 1
    scale: float = FIRST_SCALE
    calm: int = 0


class TrainingStep:
    """The training step of a model, and its answers.

    Attributes:
        model: what is trained.
        adapted: what it has learnt about the machine.
    """

    def __init__(
        self,
        model: keras.Model,
        updates: Updates,
        *,
        trunk: keras.Model | None = None,
        clip: float | None = None,
        label_smoothing: float = 0.0,
        ema: Sequence[tf.Variable] = (),
        precision: Precision = "float32",
        strategy: tf.distribute.Strategy | None = None,
        on_halved: Callable[[int], None] = lambda pieces: None,
    ) -> None:
        """Prepare the step.

        Args:
            model: inputs -> probabilities (batch, classes), or a list of them: the first counts fully, the others are
                auxiliary classifiers and count 0.3.
            updates: steps `model.trainable_variables`.
            trunk: what comes before the model and stays as it is: it runs as in inference, and no gradient enters it.
            clip: greatest global norm of the gradients; None for any.
            label_smoothing: share in [0, 1) of each label that is spread over all classes.
            ema: one variable for each trainable weight, which follows it; none for no moving average.
            precision: float16 gradients need their loss scaled.
            strategy: spreads a batch over devices; None for one device.
            on_halved: is told the new number of pieces when memory did not suffice.
        """
        self.model, self.adapted = model, Adapted()
        self._trunk, self._updates, self._clip, self._smoothing = trunk, updates, clip, label_smoothing
        self._ema, self._scaled, self._on_halved = ema, precision == "float16", on_halved
        self._strategy = strategy or tf.distribute.get_strategy()
        # Never compiled by XLA: MirroredStrategy cannot, and each new batch size would be compiled anew.
        self._gradients = self._spread(self._run_gradients)
        self._piece = self._spread(self._run_piece)
        self._add = self._spread(lambda one, other: [a + b for a, b in zip(one, other, strict=True)])
        self._apply = self._spread(self._run_apply)
        self._follow = tf.function(self._run_follow)
        self._predict = tf.function(self._run_predict, reduce_retracing=True)

    def _spread(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let every device run a function on its part of the arguments."""
        return tf.function(lambda *args: self._strategy.run(function, args=args), reduce_retracing=True)

    def predict(self, inputs: Any) -> tf.Tensor:
        """Probabilities (batch, classes) float32, computed in the precision of training."""
        return self._predict(inputs)

    def train(self, batch: tuple[Any, Any, Any], momentum: float = 0.0) -> tuple[float, float, float]:
        """Fit one batch.

        A batch for which memory does not suffice is computed again in twice as many pieces, whose gradients are summed:
        the update is that of the whole batch. (Only what a trained BatchNormalization sees gets smaller.)

        Args:
            batch: inputs, labels (batch,) or their shares (batch, classes), weights (batch,).
            momentum: of the moving average of the weights.

        Returns:
            The sum of the losses of its images, how many were right, and how many there are.

        Raises:
            UserError: not even one image fits into memory.
        """
        count = int(sum(tf.shape(part)[0] for part in self._strategy.experimental_local_results(batch[1])))
        while True:
            try:
                gradients, sums = self._summed(batch)
                break
            except tf.errors.ResourceExhaustedError as error:
                if self.adapted.pieces * 2 * self._strategy.num_replicas_in_sync > count:
                    raise UserError(
                        "memory does not suffice for one image a step", "train fewer blocks, or take smaller images"
                    ) from error
                self.adapted.pieces *= 2
                self._on_halved(self.adapted.pieces)
        if self._finite(gradients):
            self._apply(gradients, tf.constant(float(count)), self._factor)
            if self._ema:
                self._follow(tf.constant(momentum))
        loss, right = (float(each) for each in sums)
        return loss, right, count

    def _summed(self, batch: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        """Gradients of the sum of the losses, a list a device, and the loss and hits over all of them."""
        if self.adapted.pieces == 1:
            gradients, sums = self._gradients(*batch, self._factor)
        else:
            pieces = tf.constant(self.adapted.pieces)
            gradients, sums = self._piece(*batch, self._factor, tf.constant(0), pieces)
            for at in range(1, self.adapted.pieces):
                found, part = self._piece(*batch, self._factor, tf.constant(at), pieces)
                gradients, sums = self._add(gradients, found), self._add(sums, part)
        reduced = [self._strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None) for each in sums]
        return gradients, reduced

    @property
    def _factor(self) -> tf.Tensor:
        return tf.constant(self.adapted.scale if self._scaled else 1.0)

    def _finite(self, gradients: Any) -> bool:
        """Whether to step; a float16 overflow halves the scale instead, calm doubles it."""
        if not self._scaled:
            return True
        parts = [part for each in gradients for part in self._strategy.experimental_local_results(each)]
        finite = bool(tf.reduce_all([tf.reduce_all(tf.math.is_finite(part)) for part in parts]))
        self.adapted.calm = self.adapted.calm + 1 if finite else 0
        if not finite:
            self.adapted.scale = max(1.0, self.adapted.scale / 2)
        elif self.adapted.calm >= CALM_STEPS:
            self.adapted.calm, self.adapted.scale = 0, self.adapted.scale * 2
        return finite

    def _run_piece(self, inputs: Any, labels: Any, weights: Any, scale: Any, at: Any, pieces: Any) -> tuple[Any, Any]:
        return self._run_gradients(inputs[at::pieces], labels[at::pieces], weights[at::pieces], scale)

    def _run_gradients(self, inputs: Any, labels: Any, weights: Any, scale: Any) -> tuple[Any, Any]:
        inputs = tf.cast(inputs, tf.float32)
        if self._trunk is not None:
            inputs = tf.stop_gradient(self._trunk(inputs, training=False))
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            main, *others = outputs if isinstance(outputs, list | tuple) else [outputs]
            targets = self._targets(labels, main.shape[-1])
            # Of probabilities, in a graph: Keras goes back to the logits before the softmax.
            each = keras.ops.categorical_crossentropy(targets, main)
            for other in others:
                each += AUXILIARY_WEIGHT * keras.ops.categorical_crossentropy(targets, other)
            loss = tf.reduce_sum(each * tf.cast(weights, tf.float32))
            penalty = tf.add_n(self.model.losses) if self.model.losses else 0.0
            total = (loss + penalty * tf.cast(tf.shape(main)[0], tf.float32)) * scale
        gradients = tape.gradient(
            total, [each.value for each in self.model.trainable_variables], unconnected_gradients="zero"
        )
        right = tf.reduce_sum(tf.cast(tf.argmax(main, -1) == tf.argmax(targets, -1), tf.float32))
        return gradients, [loss, right]

    def _targets(self, labels: Any, num_classes: int) -> tf.Tensor:
        soft = tf.one_hot(labels, num_classes) if len(labels.shape) == 1 else tf.cast(labels, tf.float32)
        return soft * (1 - self._smoothing) + self._smoothing / num_classes

    def _run_apply(self, gradients: Any, count: Any, scale: Any) -> None:
        replica = tf.distribute.get_replica_context()
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients = [each / (count * scale) for each in gradients]
        if self._clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip)
        # The optimizer sums over the devices once more.
        self._updates.apply([each / replica.num_replicas_in_sync for each in gradients])

    def _run_follow(self, momentum: Any) -> None:
        for average, weight in zip(self._ema, self.model.trainable_variables, strict=True):
            average.assign(momentum * average + (1 - momentum) * weight.value)

    def _run_predict(self, inputs: Any) -> Any:
        inputs = tf.cast(inputs, tf.float32)
        below = inputs if self._trunk is None else self._trunk(inputs, training=False)
        outputs = self.model(below, training=False)
        return outputs[0] if isinstance(outputs, list | tuple) else outputs
