"""Fuses several heads on the same features into one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from models.arrays import Weights

if TYPE_CHECKING:
    import keras

# For each class of an ensemble, the class's index in a member; None where the member lacks the class.
Columns: TypeAlias = tuple[int | None, ...]
NEVER = -1e9  # A logit whose probability is exactly 0.


@dataclass(frozen=True, slots=True, eq=False)
class DenseHead:
    """Weights of a head that is a softmax regression, with or without one hidden ReLU layer.

    Attributes:
        kernel: (inputs, classes) of the softmax layer.
        bias: (classes,) of the softmax layer.
        hidden_kernel: (features, hidden), with the batch normalisation folded in; None without a hidden layer.
        hidden_bias: (hidden,) of the hidden layer.
    """

    kernel: Weights
    bias: Weights
    hidden_kernel: Weights | None = None
    hidden_bias: Weights | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(features, hidden), or () without a hidden layer. Heads of the same shape can be fused."""
        return () if self.hidden_kernel is None else self.hidden_kernel.shape


def dense_head(head: keras.Model) -> DenseHead | None:
    """Return the weights of a head that can be fused; None for a head of any other structure."""
    from keras import layers

    stack = [layer for layer in head.layers if not isinstance(layer, layers.InputLayer | layers.Dropout)]
    if not stack or not _is_dense(stack[-1], "softmax"):
        return None
    kernel, bias = _dense(stack[-1])
    if len(stack) == 1:
        return DenseHead(kernel, bias)
    norms = [layer for layer in stack[1:-2] if isinstance(layer, layers.BatchNormalization)]
    if not _is_dense(stack[0], "linear") or not _is_relu(stack[-2]) or len(stack) != 3 + len(norms):
        return None
    hidden_kernel, hidden_bias = _dense(stack[0])
    for norm in norms:
        factor, shift = _affine(norm)
        hidden_kernel, hidden_bias = hidden_kernel * factor, hidden_bias * factor + shift
    return DenseHead(kernel, bias, hidden_kernel, hidden_bias)


def fuse(
    heads: Sequence[DenseHead], features: keras.KerasTensor, columns: Sequence[Columns], *, name: str
) -> keras.KerasTensor:
    """Apply several heads of one shape at once.

    Args:
        heads: the weights of every head.
        features: (batch, features), the input of all heads.
        columns: for every head and every class of the result, the index of that class in the head; None where the
            head lacks the class, whose probability is then 0.
        name: prefix of the names of the layers.

    Returns:
        Probabilities (batch, heads, classes).
    """
    from keras import layers

    def options(part: str) -> dict[str, str]:
        return {"name": f"{name}_{part}", "dtype": "float32"}

    count, num_classes = len(heads), len(columns[0])
    reordered = [_reordered(head, head_columns) for head, head_columns in zip(heads, columns, strict=True)]
    kernels, biases = (np.stack(arrays) for arrays in zip(*reordered, strict=True))
    width = heads[0].kernel.shape[0]
    if heads[0].hidden_kernel is None:
        output = layers.EinsumDense("bd,dhc->bhc", (count, num_classes), bias_axes="hc", **options("logits"))
        logits = output(features)
        output.set_weights([np.moveaxis(kernels, 0, 1), biases])
    else:
        hidden = layers.EinsumDense("bd,dhk->bhk", (count, width), bias_axes="hk", **options("hidden"))
        output = layers.EinsumDense("bhk,hkc->bhc", (count, num_classes), bias_axes="hc", **options("logits"))
        logits = output(layers.ReLU(**options("relu"))(hidden(features)))
        hidden_kernels = [head.hidden_kernel for head in heads if head.hidden_kernel is not None]
        hidden_biases = [head.hidden_bias for head in heads if head.hidden_bias is not None]
        hidden.set_weights([np.stack(hidden_kernels, axis=1), np.stack(hidden_biases)])
        output.set_weights([kernels, biases])
    return layers.Softmax(**options("softmax"))(logits)


def _reordered(head: DenseHead, columns: Columns) -> tuple[Weights, Weights]:
    kernel = np.zeros((head.kernel.shape[0], len(columns)), np.float32)
    bias = np.full(len(columns), NEVER, np.float32)
    for index, column in enumerate(columns):
        if column is not None:
            kernel[:, index], bias[index] = head.kernel[:, column], head.bias[column]
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


def _dense(layer: keras.layers.Dense) -> tuple[Weights, Weights]:
    weights = layer.get_weights()
    kernel = np.asarray(weights[0], np.float32)
    bias = np.asarray(weights[1], np.float32) if layer.use_bias else np.zeros(kernel.shape[1], np.float32)
    return kernel, bias


def _affine(norm: keras.layers.BatchNormalization) -> tuple[Weights, Weights]:
    """Factor and shift, both (features,), of a batch normalisation at prediction: x * factor + shift."""
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    shift = -mean * factor
    if norm.center:
        shift = shift + np.asarray(norm.beta)
    return factor.astype(np.float32), shift.astype(np.float32)
