"""The network of a bank: the weights of many heads side by side, and one head of them as a plain Keras model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from models.heads import Candidate, Head, build_head

if TYPE_CHECKING:
    from models.arrays import Weights

Tensor: TypeAlias = Any  # TensorFlow ships no types
# Weights of any shape, float32.
Values: TypeAlias = NDArray[np.float32]


class HeadDropout(layers.Layer):
    """Dropout with its own rate for each head: (batch, heads, units) -> the same shape."""

    def __init__(self, rates: tuple[float, ...], seed: int) -> None:
        super().__init__()
        self.keep = 1.0 - np.asarray(rates, np.float32)[None, :, None]
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Drop units in training, and scale the others so that the expectation stays."""
        if not training:
            return inputs
        draw = keras.random.uniform(keras.ops.shape(inputs), seed=self.seeds)
        return inputs * keras.ops.cast(draw < self.keep, inputs.dtype) / self.keep


def build_network(head: Head, candidates: Sequence[Candidate], num_features: int, num_classes: int) -> keras.Model:
    """All heads as one model: standardised features (batch, num_features) -> logits (batch, heads, classes).

    Each head starts from the weights that its own seed draws; a linear head is convex and starts at zero.
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
    """The axis of a variable of `build_network` that counts the heads; None where heads and units share the only axis.

    Told by the layer, never by the shape: there may be as many heads as features, units or classes.
    """
    layer, name = variable.path.split("/")[-2:]
    if layer == "norm":
        return None
    if name == "bias":
        return 0
    # Kernels as the equations have them: `dhk` and `dhc` from the features, `hkc` from hidden units.
    return 0 if layer == "probabilities" and head.hidden else 1


def plain_head(
    head: Head, candidate: Candidate, weights: Mapping[str, Values], *, mean: Weights, scale: Weights
) -> keras.Model:
    """One head as a plain model, raw features (batch, features) -> probabilities.

    The standardisation of the features is folded into the first layer, so that only Keras' own layers remain.

    Args:
        head: its shape.
        candidate: its hyperparameters.
        weights: `layer/name` -> its part of the network's variable.
        mean: (features,) subtracted from the features.
        scale: (features,) by which they are divided then.
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
    # There is no bias before the normalisation: the folded shift goes into its moving mean.
    values["moving_mean"] = np.asarray(values["moving_mean"] - shift, np.float32)
    norm.set_weights([values[weight.name] for weight in norm.weights])
    model.get_layer("hidden").set_weights([folded])
    return model


def _hidden_layer(head: Head, count: int) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Features (batch, features) -> hidden units (batch, heads, units)."""
    bias = None if head.batch_norm else "hk"
    steps: list[layers.Layer] = [layers.EinsumDense("bd,dhk->bhk", (count, head.hidden), bias_axes=bias, name="hidden")]
    if head.batch_norm:
        # BatchNormalization has one channel axis: heads and units share it.
        steps += [
            layers.Reshape((count * head.hidden,)),
            layers.BatchNormalization(momentum=0.9, name="norm"),
            layers.Reshape((count, head.hidden)),
        ]
    steps.append(layers.ReLU())

    def apply(x: keras.KerasTensor) -> keras.KerasTensor:
        for step in steps:
            x = step(x)
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
        he, glorot = keras.initializers.HeNormal(candidate.seed), keras.initializers.GlorotUniform(candidate.seed)
        first[:, number] = he((num_features, head.hidden)).numpy()
        last[number] = glorot((head.hidden, num_classes)).numpy()
    hidden.kernel.assign(first)
    output.kernel.assign(last)
