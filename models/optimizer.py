"""Optimizer with layer-wise learning-rate decay and selective weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.blocks import divide_into_blocks

if TYPE_CHECKING:
    import keras

    from models.arrays import Tensor

# Where nothing else is asked for.
ADAMW_DECAY, MOMENTUM = 1e-4, 0.9


class LayerwiseOptimizer:
    """One update rule for all weights, with a factor on the learning rate for every weight.

    Attributes:
        optimizers: factor -> the optimizer of the weights with this factor.
    """

    def __init__(
        self,
        rule: str,
        variables: Sequence[keras.Variable],
        factors: Sequence[float],
        *,
        weight_decay: float | None = None,
        momentum: float = MOMENTUM,
    ) -> None:
        """Build an optimizer for the weights of every factor.

        Args:
            rule: `adam`, `adamw` or `sgd`.
            variables: the weights, in the order of the gradients that `apply` takes.
            factors: on the learning rate, one per weight.
            weight_decay: on matrices and kernels; biases and normalisation weights have none. `sgd` adds it to the
                gradient, as the classic networks do (Krizhevsky et al., 2012, section 5); `adam` and `adamw`
                decouple it from the gradient (Loshchilov and Hutter, 2019, arXiv:1711.05101). None: the default of
                the rule, which is 1e-4 for `adamw` and 0 for the others.
            momentum: of `sgd`, in [0, 1).
        """
        self._l2 = used_weight_decay(rule, weight_decay) if rule == "sgd" else 0.0
        self._indices: dict[float, list[int]] = {}
        for index, factor in enumerate(factors):
            self._indices.setdefault(factor, []).append(index)
        self.optimizers: dict[float, keras.optimizers.Optimizer] = {}
        self._variables = list(variables)
        for factor, indices in self._indices.items():
            chosen = [self._variables[index] for index in indices]
            optimizer = _optimizer(rule, weight_decay, momentum)
            if flat := [variable for variable in chosen if len(variable.shape) < 2]:
                optimizer.exclude_from_weight_decay(var_list=flat)
            optimizer.build(chosen)
            self.optimizers[factor] = optimizer

    @property
    def variables(self) -> list[keras.Variable]:
        """The state of all optimizers: momenta, moments and step counts."""
        return [variable for optimizer in self.optimizers.values() for variable in optimizer.variables]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate that the factors multiply."""
        for factor, optimizer in self.optimizers.items():
            optimizer.learning_rate = rate * factor

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """Update all weights, given their gradients in the order of the weights.

        On several devices the optimizer sums the gradients over them, so every device adds its share of the decay.
        """
        gradients = [
            self._decayed(gradient, variable) for gradient, variable in zip(gradients, self._variables, strict=True)
        ]
        for factor, indices in self._indices.items():
            chosen = [self._variables[index] for index in indices]
            self.optimizers[factor].apply([gradients[index] for index in indices], chosen)

    def _decayed(self, gradient: Tensor, weight: keras.Variable) -> Tensor:
        import tensorflow as tf

        if not self._l2 or len(weight.shape) < 2:
            return gradient
        replica = tf.distribute.get_replica_context()
        return gradient + self._l2 / (replica.num_replicas_in_sync if replica else 1) * weight.value


def learning_rate_factors(model: keras.Model, backbone: keras.Model, decay: float) -> list[float]:
    """Compute factors on the learning rate that fall from block to block down a backbone.

    Args:
        model: the model to train, with layers of the backbone and others above it.
        backbone: as `build_backbone` returns it.
        decay: in (0, 1]; the top block has `decay`, the block below it `decay ** 2`, layers above the backbone 1.

    Returns:
        One factor per variable of `model.trainable_variables`, in their order.
    """
    depth: dict[int, int] = {}
    for number, (_, block_layers) in enumerate(reversed(divide_into_blocks(backbone)), 1):
        depth |= {id(weight): number for layer in block_layers for weight in getattr(layer, "weights", ())}
    return [decay ** depth.get(id(weight), 0) for weight in model.trainable_variables]


def used_weight_decay(rule: str, weight_decay: float | None) -> float:
    """The weight decay that `LayerwiseOptimizer` applies: what is asked for, or the default of the rule."""
    if weight_decay is None:
        return ADAMW_DECAY if rule == "adamw" else 0.0
    return weight_decay


def _optimizer(rule: str, weight_decay: float | None, momentum: float) -> keras.optimizers.Optimizer:
    import keras

    table = {
        "adam": lambda decay: keras.optimizers.Adam(1.0, weight_decay=decay or None),
        "adamw": lambda decay: keras.optimizers.AdamW(1.0, weight_decay=decay),
        "sgd": lambda _: keras.optimizers.SGD(1.0, momentum=momentum),
    }
    return table[rule](used_weight_decay(rule, weight_decay))
