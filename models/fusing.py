"""Several heads on the same features as one: their weights side by side, one matrix product for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
Columns = tuple[int | None, ...]
NEVER = -1e9  # a logit whose probability is exactly 0


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """The weights of a head that is softmax regression, or has one ReLU layer below it.

    Attributes:
        kernel: (inputs, classes) of the softmax layer.
        bias: (classes,) of it.
        hidden_kernel: (features, hidden), a batch normalisation folded in; None without a hidden layer.
        hidden_bias: (hidden,) of it.
    """

    kernel: Floats
    bias: Floats
    hidden_kernel: Floats | None = None
    hidden_bias: Floats | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """What heads must share to be fused: whether there is a hidden layer, and how wide it is."""
        return () if self.hidden_kernel is None else self.hidden_kernel.shape


def plain(head: keras.Model) -> Plain | None:
    """The weights of `head` where it is one of the shapes that can be fused; None where it is not."""
    from keras import layers

    stack = [each for each in head.layers if not isinstance(each, layers.InputLayer | layers.Dropout)]
    if not stack or not _is_dense(stack[-1], "softmax"):
        return None
    kernel, bias = _dense(stack[-1])
    if len(stack) == 1:
        return Plain(kernel, bias)
    norm = [each for each in stack[1:-2] if isinstance(each, layers.BatchNormalization)]
    if not _is_dense(stack[0], "linear") or not _is_relu(stack[-2]) or len(stack) != 3 + len(norm):
        return None
    hidden_kernel, hidden_bias = _dense(stack[0])
    for each in norm:
        factor, shift = _affine(each)
        hidden_kernel, hidden_bias = hidden_kernel * factor, hidden_bias * factor + shift
    return Plain(kernel, bias, hidden_kernel, hidden_bias)


def fuse(
    heads: Sequence[Plain], features: keras.KerasTensor, columns: Sequence[Columns], *, name: str
) -> keras.KerasTensor:
    """Apply several heads of one shape at once.

    Args:
        heads: weights of each.
        features: (batch, features), what all of them are put on.
        columns: for each head and each class of the result, the head's own number of that class; None where the
            head does not know it: its probability is 0.
        name: what the names of the layers begin with.

    Returns:
        Probabilities (batch, heads, classes).
    """
    from keras import layers

    def said(part: str) -> dict[str, str]:
        return {"name": f"{name}_{part}", "dtype": "float32"}

    count, num_classes = len(heads), len(columns[0])
    outer = [_reordered(head, order) for head, order in zip(heads, columns, strict=True)]
    kernels, biases = (np.stack(each) for each in zip(*outer, strict=True))
    width = heads[0].kernel.shape[0]
    if heads[0].hidden_kernel is None:
        output = layers.EinsumDense("bd,dhc->bhc", (count, num_classes), bias_axes="hc", **said("logits"))
        logits = output(features)
        output.set_weights([np.moveaxis(kernels, 0, 1), biases])
    else:
        hidden = layers.EinsumDense("bd,dhk->bhk", (count, width), bias_axes="hk", **said("hidden"))
        output = layers.EinsumDense("bhk,hkc->bhc", (count, num_classes), bias_axes="hc", **said("logits"))
        logits = output(layers.ReLU(**said("relu"))(hidden(features)))
        inner = [head.hidden_kernel for head in heads if head.hidden_kernel is not None]
        below = [head.hidden_bias for head in heads if head.hidden_bias is not None]
        hidden.set_weights([np.stack(inner, axis=1), np.stack(below)])
        output.set_weights([kernels, biases])
    return layers.Softmax(**said("softmax"))(logits)


def _reordered(head: Plain, columns: Columns) -> tuple[Floats, Floats]:
    kernel = np.zeros((head.kernel.shape[0], len(columns)), np.float32)
    bias = np.full(len(columns), NEVER, np.float32)
    for place, column in enumerate(columns):
        if column is not None:
            kernel[:, place], bias[place] = head.kernel[:, column], head.bias[column]
    return kernel, bias


def _is_dense(layer: keras.layers.Layer, activation: str) -> bool:
    import keras

    return isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.get(activation)


def _is_relu(layer: keras.layers.Layer) -> bool:
    import keras

    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.relu
    return isinstance(layer, keras.layers.ReLU) and (layer.max_value, layer.negative_slope, layer.threshold) == (
        None,
        0.0,
        0.0,
    )


def _dense(layer: keras.layers.Dense) -> tuple[Floats, Floats]:
    weights = layer.get_weights()
    kernel = np.asarray(weights[0], np.float32)
    bias = np.asarray(weights[1], np.float32) if layer.use_bias else np.zeros(kernel.shape[1], np.float32)
    return kernel, bias


def _affine(norm: keras.layers.BatchNormalization) -> tuple[Floats, Floats]:
    """What a batch normalisation does at prediction, as x * factor + shift."""
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    shift = -mean * factor
    if norm.center:
        shift = shift + np.asarray(norm.beta)
    return factor.astype(np.float32), shift.astype(np.float32)
