"""Pools the probabilities of an ensemble's members with Keras layers.

`pipelines.ensembles.weights` computes the same with NumPy; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from models.arrays import Weights

if TYPE_CHECKING:
    import keras

FLOOR = 1e-12  # The smallest probability whose logarithm is taken; smaller ones are raised to it.
TIE_BREAK = 1e-3  # Share of the mean probability in a vote: less than one vote of a thousand members.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackingRegression:
    """A softmax regression on the members' log-probabilities.

    Attributes:
        kernel: (members * classes, classes); member by member, in the order of the members.
        bias: (classes,).
    """

    kernel: Weights
    bias: Weights


def _mean(probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None) -> keras.KerasTensor:
    from keras import layers

    pool = layers.EinsumDense("bmc,m->bc", (probabilities.shape[-1],), name="pool", dtype="float32")
    pooled = pool(probabilities)
    pool.set_weights([weights])
    return pooled


def _geometric(
    probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None
) -> keras.KerasTensor:
    from keras import layers

    return layers.Softmax(name="normalised")(_mean(logarithm(probabilities), weights, stack))


def _vote(probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None) -> keras.KerasTensor:
    from keras import layers, ops

    votes = ops.one_hot(ops.argmax(probabilities, axis=-1), probabilities.shape[-1])
    # The mean probability decides between classes with equally many votes, and leaves no class at 0.
    return _mean(
        layers.Rescaling(1 - TIE_BREAK, name="ballots")(votes)
        + layers.Rescaling(TIE_BREAK, name="tie_break")(probabilities),
        weights,
        stack,
    )


def _stack(probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None) -> keras.KerasTensor:
    from keras import layers

    if stack is None:
        raise ValueError("the method `stack` needs a regression")
    regression = layers.Dense(len(stack.bias), activation="softmax", name="stack", dtype="float32")
    pooled = regression(layers.Flatten(name="side_by_side")(logarithm(probabilities)))
    regression.set_weights([stack.kernel, stack.bias])
    return pooled


def logarithm(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Return the logarithm of probabilities, finite even where a probability is 0."""
    from keras import ops

    return ops.log(ops.maximum(probabilities, FLOOR))


# Probabilities (batch, members, classes), weights of the members (members,) that sum to 1, and the regression of
# `stack` -> probabilities (batch, classes).
Pool: TypeAlias = Callable[["keras.KerasTensor", Weights, StackingRegression | None], "keras.KerasTensor"]
POOLS: dict[str, Pool] = {
    "mean": _mean,
    "geometric": _geometric,
    "vote": _vote,
    "stack": _stack,
}
