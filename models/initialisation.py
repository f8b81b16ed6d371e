"""Names the distributions that initial weights are drawn from, and draws the kernels of a network from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from models.keras_private import all_layers

if TYPE_CHECKING:
    import keras

Init: TypeAlias = Literal["gaussian", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "orthogonal"]
_GAUSSIAN_DEVIATION = 0.01  # Krizhevsky et al. (2012), section 5


def initializer(name: Init, seed: int) -> keras.Initializer:
    """Build the initializer of a name.

    Args:
        name: `gaussian` has the deviation 0.01 of AlexNet; the others are those of Glorot and Bengio (2010), He et al.
            (2015) and Saxe et al. (2014).
        seed: of what is drawn.
    """
    from keras import initializers

    table = {
        "gaussian": lambda: initializers.RandomNormal(stddev=_GAUSSIAN_DEVIATION, seed=seed),
        "glorot_normal": lambda: initializers.GlorotNormal(seed),
        "glorot_uniform": lambda: initializers.GlorotUniform(seed),
        "he_normal": lambda: initializers.HeNormal(seed),
        "he_uniform": lambda: initializers.HeUniform(seed),
        "orthogonal": lambda: initializers.Orthogonal(seed=seed),
    }
    return table[name]()


def initialise(model: keras.Model, name: Init, *, seed: int) -> None:
    """Draw all kernels of a network anew; biases and normalisation stay as they are.

    Args:
        model: the network.
        name: of the distribution.
        seed: of the first kernel; each has one of its own.
    """
    for layer in all_layers(model):
        for weight in layer._trainable_variables:  # of the layer alone, without those of layers inside it
            if len(weight.shape) > 1:
                weight.assign(initializer(name, seed)(weight.shape))
                seed += 1
