"""Lists the heads, and builds them: layers from the features of a backbone to the probabilities of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from models.initialisation import Init, initialise

if TYPE_CHECKING:
    import keras

Pooling = Literal["avg", "max", "flatten", "fc6", "fc7"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The layers of a head.

    Attributes:
        name: its key in `HEADS`.
        hidden: units of the hidden layer; 0 for none.
        batch_norm: whether the hidden layer is batch-normalised (before its ReLU).
        dropout: default rate in [0, 1): on the hidden units, or on the features when there are none.
        about: one line for people.
        init: the distribution of its initial weights; None for that of He et al. below, of Glorot and Bengio on top. A
            head without a hidden layer starts at zero where it is trained on cached features.
    """

    name: str
    hidden: int
    batch_norm: bool
    dropout: float
    about: str
    init: Init | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Hyperparameters of one head of a bank.

    Attributes:
        l2: strength of the penalty `l2 / 2 * sum(kernel ** 2)` on standardised features.
        learning_rate: the first learning rate.
        dropout: rate in [0, 1).
        seed: of the initial weights.
    """

    l2: float
    learning_rate: float
    dropout: float
    seed: int


HEADS: dict[str, Head] = {
    "linear": Head(name="linear", hidden=0, batch_norm=False, dropout=0.0, about="softmax regression on the features"),
    "mlp": Head(
        name="mlp", hidden=256, batch_norm=True, dropout=0.5, about="one hidden layer, batch normalisation, dropout"
    ),
}


def build_head(
    head: Head, *, num_features: int, num_classes: int, dropout: float | None = None, seed: int = 0
) -> keras.Model:
    """Build an untrained head.

    Args:
        head: the entry.
        num_features: length of a feature vector.
        num_classes: number of probabilities.
        dropout: rate in [0, 1) that replaces the head's default.
        seed: of the initial weights, where the head names their distribution.

    Returns:
        A model named `head`: features (batch, num_features) -> probabilities (batch, num_classes), whose layers
        are named `hidden`, `norm`, `relu`, `dropout` and `probabilities`, as far as the head has them.
    """
    from keras import Sequential, layers

    rate = head.dropout if dropout is None else dropout
    stack = [layers.Input((num_features,), name="features")]
    if head.hidden:
        stack.append(layers.Dense(head.hidden, use_bias=not head.batch_norm, name="hidden"))
        if head.batch_norm:
            stack.append(layers.BatchNormalization(name="norm"))
        stack.append(layers.ReLU(name="relu"))
    if rate > 0:
        stack.append(layers.Dropout(rate, name="dropout"))
    # In float32 whatever the precision below, because half precision loses the small values of a softmax.
    stack.append(layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities"))
    model = Sequential(stack, name="head")
    if head.init is not None:
        initialise(model, head.init, seed=seed)
    return model


def dropout_of(head: keras.Model) -> float:
    """The dropout rate of a head that `build_head` built."""
    return next((float(layer.rate) for layer in head.layers if layer.name == "dropout"), 0.0)


def widened(model: keras.Model, head: Head, num_features: int) -> keras.Model:
    """The same head, which ignores further features; the model itself where there are none.

    Args:
        model: that `build_head` built of `head`, of fewer features.
        head: its entry.
        num_features: length of a feature vector, of which the first values are those that the model knows.
    """
    import numpy as np

    known = int(model.input_shape[-1])
    if known == num_features:
        return model
    num_classes = int(model.output_shape[-1])
    wider = build_head(head, num_features=num_features, num_classes=num_classes, dropout=dropout_of(model))
    kernel, *others = model.get_weights()  # the first layer's kernel comes first
    ignored = np.zeros((num_features - known, kernel.shape[1]), kernel.dtype)
    wider.set_weights([np.concatenate([kernel, ignored]), *others])
    return wider


def cool(head: keras.Model, temperature: float) -> None:
    """Divide a head's logits by a temperature (Guo et al., 2017), inside its last layer."""
    last = head.get_layer("probabilities")
    last.set_weights([weight / temperature for weight in last.get_weights()])
