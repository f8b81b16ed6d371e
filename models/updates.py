"""How weights are stepped: a rule, with a rate that falls from block to block, and decay where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.blocks import divide

if TYPE_CHECKING:
    import keras


class Updates:
    """One rule for all weights, each with a factor on the learning rate.

    Attributes:
        optimizers: factor -> the optimizer of the weights that have it.
    """

    def __init__(
        self,
        rule: str,
        variables: Sequence[keras.Variable],
        factors: Sequence[float],
        *,
        weight_decay: float | None = None,
    ) -> None:
        """Prepare the rule for these weights.

        Args:
            rule: `adam`, `adamw` or `sgd` (momentum 0.9).
            variables: the weights, in the order in which their gradients will come.
            factors: on the learning rate, one a weight.
            weight_decay: on matrices and kernels; biases and what normalisation learns are left alone. `sgd` has it in
                the gradient, as the classic networks do (Krizhevsky et al., 2012, section 5); the others decoupled
                from it (Loshchilov and Hutter, 2019, arXiv:1711.05101). None: the rule's own, which is 1e-4 for
                `adamw` and nothing for the others.
        """
        self._l2 = (weight_decay or 0.0) if rule == "sgd" else 0.0
        self._places: dict[float, list[int]] = {}
        for place, factor in enumerate(factors):
            self._places.setdefault(factor, []).append(place)
        self.optimizers: dict[float, keras.optimizers.Optimizer] = {}
        self._variables = list(variables)
        for factor, places in self._places.items():
            chosen = [self._variables[place] for place in places]
            optimizer = _optimizer(rule, weight_decay)
            if flat := [each for each in chosen if len(each.shape) < 2]:
                optimizer.exclude_from_weight_decay(var_list=flat)
            optimizer.build(chosen)
            self.optimizers[factor] = optimizer

    @property
    def variables(self) -> list[keras.Variable]:
        """What the rule remembers from step to step."""
        return [each for optimizer in self.optimizers.values() for each in optimizer.variables]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate that factors multiply."""
        for factor, optimizer in self.optimizers.items():
            optimizer.learning_rate = rate * factor

    def apply(self, gradients: Sequence[Any]) -> None:
        """Step all weights, given their gradients in the order of the weights.

        On several devices the optimizer sums the gradients over them, so each brings its share of the decay too.
        """
        gradients = [self._decayed(*each) for each in zip(gradients, self._variables, strict=True)]
        for factor, places in self._places.items():
            chosen = [self._variables[place] for place in places]
            self.optimizers[factor].apply([gradients[place] for place in places], chosen)

    def _decayed(self, gradient: Any, weight: keras.Variable) -> Any:
        import tensorflow as tf

        if not self._l2 or len(weight.shape) < 2:
            return gradient
        replica = tf.distribute.get_replica_context()
        return gradient + self._l2 / (replica.num_replicas_in_sync if replica else 1) * weight.value


def layer_factors(model: keras.Model, backbone: keras.Model, decay: float) -> list[float]:
    """Factors on the learning rate that fall from block to block down a backbone.

    Args:
        model: what is trained; it may hold layers of the backbone and others above it.
        backbone: as `build_backbone` returns it.
        decay: in (0, 1]; the top block has `decay`, the one below `decay ** 2`, what is above the backbone has 1.

    Returns:
        One factor for each of `model.trainable_variables`, in their order.
    """
    depth: dict[int, int] = {}
    for number, (_, members) in enumerate(reversed(divide(backbone)), 1):
        depth |= {id(weight): number for layer in members for weight in getattr(layer, "weights", ())}
    return [decay ** depth.get(id(weight), 0) for weight in model.trainable_variables]


def _optimizer(rule: str, weight_decay: float | None) -> keras.optimizers.Optimizer:
    import keras

    table = {
        "adam": lambda decay: keras.optimizers.Adam(1.0, weight_decay=decay),
        "adamw": lambda decay: keras.optimizers.AdamW(1.0, weight_decay=1e-4 if decay is None else decay),
        "sgd": lambda _: keras.optimizers.SGD(1.0, momentum=0.9),
    }
    return table[rule](weight_decay or None if rule != "adamw" else weight_decay)
