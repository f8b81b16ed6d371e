"""The ways in which the answers of an ensemble's members become one, as Keras layers.

`pipelines.ensembles.methods` computes the same with numpy; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
FLOOR = 1e-12  # probabilities are raised to it before their logarithm is taken
TIE_BREAK = 1e-3  # share of the mean probability in a vote: less than one vote of a thousand members


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """A softmax regression on the members' log-probabilities.

    Attributes:
        kernel: (members * classes, classes); member by member, in the order of the members.
        bias: (classes,).
    """

    kernel: Floats
    bias: Floats


def _mean(answers: keras.KerasTensor, shares: Floats, stack: Stack | None) -> keras.KerasTensor:
    from keras import layers

    pool = layers.EinsumDense("bmc,m->bc", (answers.shape[-1],), name="pool", dtype="float32")
    pooled = pool(answers)
    pool.set_weights([shares])
    return pooled


def _geometric(answers: keras.KerasTensor, shares: Floats, stack: Stack | None) -> keras.KerasTensor:
    from keras import layers

    return layers.Softmax(name="normalised")(_mean(logarithm(answers), shares, stack))


def _vote(answers: keras.KerasTensor, shares: Floats, stack: Stack | None) -> keras.KerasTensor:
    from keras import layers, ops

    ballots = ops.one_hot(ops.argmax(answers, axis=-1), answers.shape[-1])
    # Of classes with as many votes, the one with the greater mean probability comes first; nothing is impossible.
    return _mean(
        layers.Rescaling(1 - TIE_BREAK, name="ballots")(ballots)
        + layers.Rescaling(TIE_BREAK, name="tie_break")(answers),
        shares,
        stack,
    )


def _stack(answers: keras.KerasTensor, shares: Floats, stack: Stack | None) -> keras.KerasTensor:
    from keras import layers

    if stack is None:
        raise ValueError("the method `stack` needs its regression")
    regression = layers.Dense(len(stack.bias), activation="softmax", name="stack", dtype="float32")
    pooled = regression(layers.Flatten(name="side_by_side")(logarithm(answers)))
    regression.set_weights([stack.kernel, stack.bias])
    return pooled


def logarithm(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Log-probabilities that stay finite."""
    from keras import ops

    return ops.log(ops.maximum(probabilities, FLOOR))


Pool = Callable[["keras.KerasTensor", Floats, Stack | None], "keras.KerasTensor"]
# (batch, members, classes), the shares of the members, which sum to 1, and a regression -> (batch, classes)
POOLS: dict[str, Pool] = {
    "mean": _mean,
    "geometric": _geometric,
    "vote": _vote,
    "stack": _stack,
}
