"""The ways to pool the probabilities of an ensemble's members, each for Keras tensors and for NumPy arrays.

Keras layers go into the model that is saved; arrays are pooled while an ensemble is fitted and judged. A test of
`POOLS` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.special import softmax

from models.arrays import Doubles, Weights

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


# Probabilities (batch, members, classes), weights of the members (members,) that sum to 1, and the regression of
# `stack` -> probabilities (batch, classes).
PoolTensors: TypeAlias = Callable[["keras.KerasTensor", Weights, StackingRegression | None], "keras.KerasTensor"]
# The same of arrays, members first: (members, images, classes) -> (images, classes).
PoolArrays: TypeAlias = Callable[[Doubles, Doubles, StackingRegression | None], Doubles]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A way to pool probabilities.

    Attributes:
        tensors: builds Keras layers.
        arrays: computes the same with NumPy.
    """

    tensors: PoolTensors
    arrays: PoolArrays


def _mean(probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None) -> keras.KerasTensor:
    from keras import layers

    pool = layers.EinsumDense("bmc,m->bc", (probabilities.shape[-1],), name="pool", dtype="float32")
    pooled = pool(probabilities)
    pool.set_weights([weights])
    return pooled


def _mean_of_arrays(probabilities: Doubles, weights: Doubles, stack: StackingRegression | None) -> Doubles:
    return np.asarray(np.tensordot(weights, probabilities, 1))


def _geometric(
    probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None
) -> keras.KerasTensor:
    from keras import layers

    return layers.Softmax(name="normalised")(_mean(logarithm(probabilities), weights, stack))


def _geometric_of_arrays(probabilities: Doubles, weights: Doubles, stack: StackingRegression | None) -> Doubles:
    return np.asarray(softmax(np.tensordot(weights, log_array(probabilities), 1), axis=-1))


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


def _vote_of_arrays(probabilities: Doubles, weights: Doubles, stack: StackingRegression | None) -> Doubles:
    votes = np.eye(probabilities.shape[2])[probabilities.argmax(2)]
    return np.asarray(np.tensordot(weights, (1 - TIE_BREAK) * votes + TIE_BREAK * probabilities, 1))


def _stack(probabilities: keras.KerasTensor, weights: Weights, stack: StackingRegression | None) -> keras.KerasTensor:
    from keras import layers

    stack = _required(stack)
    regression = layers.Dense(len(stack.bias), activation="softmax", name="stack", dtype="float32")
    pooled = regression(layers.Flatten(name="side_by_side")(logarithm(probabilities)))
    regression.set_weights([stack.kernel, stack.bias])
    return pooled


def _stack_of_arrays(probabilities: Doubles, weights: Doubles, stack: StackingRegression | None) -> Doubles:
    stack = _required(stack)
    return np.asarray(softmax(side_by_side(probabilities) @ stack.kernel + stack.bias, axis=-1))


def _required(stack: StackingRegression | None) -> StackingRegression:
    if stack is None:
        raise ValueError("the method `stack` needs a regression")
    return stack


def logarithm(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Return the logarithm of probabilities, finite even where a probability is 0."""
    from keras import ops

    return ops.log(ops.maximum(probabilities, FLOOR))


def log_array(probabilities: Doubles) -> Doubles:
    """Return the logarithm of probabilities, finite even where a probability is 0: `logarithm` for NumPy."""
    logs: Doubles = np.log(np.maximum(probabilities, FLOOR))
    return logs


def side_by_side(probabilities: Doubles) -> Doubles:
    """Log-probabilities (images, members * classes), member by member, of probabilities (members, images, classes)."""
    return np.moveaxis(log_array(probabilities), 0, 1).reshape(probabilities.shape[1], -1)


POOLS: dict[str, Pool] = {
    "mean": Pool(tensors=_mean, arrays=_mean_of_arrays),
    "geometric": Pool(tensors=_geometric, arrays=_geometric_of_arrays),
    "vote": Pool(tensors=_vote, arrays=_vote_of_arrays),
    "stack": Pool(tensors=_stack, arrays=_stack_of_arrays),
}
