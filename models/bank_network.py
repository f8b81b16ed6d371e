"""Builds the network of a bank, many heads in one model, and takes single heads out of it as models of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from models.heads import Candidate, Head, build_head
from models.initialisation import initializer

if TYPE_CHECKING:
    from models.arrays import Singles, Tensor, Weights


class HeadDropout(layers.Layer):
    """Dropout with its own rate for each head: (batch, heads, units) -> the same shape."""

    def __init__(self, rates: tuple[float, ...], seed: int) -> None:
        super().__init__()
        self.keep = 1.0 - np.asarray(rates, np.float32)[None, :, None]
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Drop units in training, and scale the others to keep the expectation."""
        if not training:
            return inputs
        draw = keras.random.uniform(keras.ops.shape(inputs), seed=self.seeds)
        return inputs * keras.ops.cast(draw < self.keep, inputs.dtype) / self.keep


def build_network(head: Head, candidates: Sequence[Candidate], num_features: int, num_classes: int) -> keras.Model:
    """Build all heads as one model: standardised features (batch, num_features) -> logits (batch, heads, classes).

    The seed of each candidate draws the initial weights of its head. A linear head is convex and starts at zero.
    """
    count, dropouts = len(candidates), tuple(candidate.dropout for candidate in candidates)
    features = keras.Input((num_features,))
    if head.hidden:
        x = _hidden_layer(head, count)(features)
        if any(dropouts):
            x = HeadDropout(dropouts, candidates[0].seed)(x)
        equation = "bhk,hkc->bhc"
    elif any(dropouts):
        x = HeadDropout(dropouts, candidates[0].seed)(layers.RepeatVector(count)(features))
        equation = "bhd,dhc->bhc"
    else:
        x, equation = features, "bd,dhc->bhc"
    output = layers.EinsumDense(equation, (count, num_classes), bias_axes="hc", name="probabilities")
    model = keras.Model(features, output(x))
    _initialise(model, head, candidates, num_features, num_classes)
    return model


def heads_axis(head: Head, variable: keras.Variable) -> int | None:
    """Return the axis of a variable of `build_network` that counts the heads; None where heads and units share one.

    The layer decides, never the shape: there may be as many heads as features, units or classes.
    """
    layer, name = variable.path.split("/")[-2:]
    if layer == "norm":
        return None
    if name == "bias":
        return 0
    # The equations order the axes of kernels: `dhk` and `dhc` from the features, `hkc` from hidden units.
    return 0 if layer == "probabilities" and head.hidden else 1


def standalone_head(
    head: Head, candidate: Candidate, weights: Mapping[str, Weights], *, mean: Singles, scale: Singles
) -> keras.Model:
    """Build one head as a model of its own: raw features (batch, features) -> probabilities (batch, classes).

    The standardisation of the features is folded into the first layer, so that only Keras' own layers remain.

    Args:
        head: the shape of the head.
        candidate: its hyperparameters.
        weights: `layer/name` -> the head's part of that variable of the bank.
        mean: (features,) subtracted from the features.
        scale: (features,) divides the centred features.
    """
    first = "hidden" if head.hidden else "probabilities"
    kernel = weights[f"{first}/kernel"]
    folded, shift = kernel / scale[:, None], -(mean / scale) @ kernel
    num_classes = len(weights["probabilities/bias"])
    model = build_head(head, num_features=len(mean), num_classes=num_classes, dropout=candidate.dropout)
    if not head.hidden:
        model.get_layer("probabilities").set_weights([folded, weights["probabilities/bias"] + shift])
        return model
    model.get_layer("probabilities").set_weights([weights["probabilities/kernel"], weights["probabilities/bias"]])
    if not head.batch_norm:
        model.get_layer("hidden").set_weights([folded, weights["hidden/bias"] + shift])
        return model
    norm = model.get_layer("norm")
    values = {name: weights[f"norm/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    # The layer before the normalisation has no bias: the moving mean takes the folded shift.
    values["moving_mean"] = np.asarray(values["moving_mean"] - shift, np.float32)
    norm.set_weights([values[weight.name] for weight in norm.weights])
    model.get_layer("hidden").set_weights([folded])
    return model


def _hidden_layer(head: Head, count: int) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Build the hidden layer: features (batch, features) -> hidden units (batch, heads, units)."""
    bias = None if head.batch_norm else "hk"
    stack: list[layers.Layer] = [layers.EinsumDense("bd,dhk->bhk", (count, head.hidden), bias_axes=bias, name="hidden")]
    if head.batch_norm:
        # BatchNormalization has one channel axis: heads and units share it.
        stack += [
            layers.Reshape((count * head.hidden,)),
            layers.BatchNormalization(momentum=0.9, name="norm"),
            layers.Reshape((count, head.hidden)),
        ]
    stack.append(layers.ReLU())

    def apply(x: keras.KerasTensor) -> keras.KerasTensor:
        for layer in stack:
            x = layer(x)
        return x

    return apply


def _initialise(
    model: keras.Model, head: Head, candidates: Sequence[Candidate], num_features: int, num_classes: int
) -> None:
    output = model.get_layer("probabilities")
    if not head.hidden:
        output.kernel.assign(np.zeros(output.kernel.shape, np.float32))
        return
    hidden = model.get_layer("hidden")
    first = np.zeros(hidden.kernel.shape, np.float32)
    last = np.zeros(output.kernel.shape, np.float32)
    for number, candidate in enumerate(candidates):
        lower = initializer(head.init or "he_normal", candidate.seed)
        upper = initializer(head.init or "glorot_uniform", candidate.seed)
        first[:, number] = lower((num_features, head.hidden)).numpy()
        last[number] = upper((head.hidden, num_classes)).numpy()
    hidden.kernel.assign(first)
    output.kernel.assign(last)
