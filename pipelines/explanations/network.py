"""Runs a run's model operation by operation, for what its answer hides: scores before the softmax, maps, gradients.

Explanations need more than probabilities. A probability near 1 has hardly any gradient, so that what is explained is
the score of a class before the softmax. Of an ensemble it is the mean of the members' scores, weighted as it weighs
their probabilities (also where it pools votes, which have no gradient); of stacking, the score of its regression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from models.arrays import Tensor
from models.errors import UserError, lookup
from models.fusing import NEVER
from models.keras_private import Operation, functional_graph, run_graph
from models.mirror import SINGLE
from models.pools import FLOOR
from pipelines.explanations.records import Pass, Tap

# Layers that rectify: guided backpropagation lets only positive gradients pass them. Sigmoids that gate are not among
# them. For ReLU it is the paper's rule; for the smooth ones of newer networks it is the same rule by analogy.
RECTIFIERS = frozenset(
    {"relu", "relu6", "leaky_relu", "elu", "selu", "silu", "swish", "gelu", "hard_silu", "hard_swish"}
)
# Of a call of an operation of Keras, whatever it takes.
Options: TypeAlias = dict[str, Any]  # masks, tensors, numbers and names, as the operation takes them
MAP_RANK = 4  # (batch, height, width, channels)


class Network:
    """A run's model, to be looked into.

    Attributes:
        model: pixels -> probabilities.
        size: side of the square it sees, pixels.
        is_ensemble: whether it joins several members.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.size = int(model.input_shape[1])
        self.is_ensemble = any(layer.name == "members" for layer in model.layers)

    def run(
        self,
        pixels: Tensor,
        *,
        watch: Callable[[Tensor], None] | None = None,
        is_guided: bool = False,
        layer: str | None = None,
    ) -> Pass:
        """Run the model, in float32 pixels (batch, size, size, 3) in [0, 255].

        Args:
            pixels: of the images.
            watch: called with every tensor that may become a tap, before anything is computed from it.
            is_guided: whether gradients are those of guided backpropagation.
            layer: path of a layer whose output is wanted, from `list_maps`.
        """
        recorded = _Recorded(self, watch, is_guided=is_guided, layer=layer)
        output = run_graph(self.model, [pixels], recorded.call)
        assert recorded.scores is not None, "the head of a run ends in a softmax"
        probabilities = output if self.is_ensemble else tf.nn.softmax(recorded.scores)
        return Pass(
            scores=recorded.scores,
            probabilities=probabilities,
            taps=list(recorded.taps_below(output)),
            layer=recorded.layer,
        )

    def list_maps(self) -> list[str]:
        """Paths of the operations that give a map of activations, from the input upwards, such as `backbone/conv1`."""
        return list(dict.fromkeys(_paths(self.model, ())))

    def find_layer(self, name: str) -> str:
        """The path of a layer that is named by its path, or by its name where only one layer has it.

        Raises:
            UserError: there is none, or several.
        """
        paths = self.list_maps()
        ending = [path for path in paths if path.rsplit("/", 1)[-1] == name]
        if name in paths or len(ending) == 1:
            return name if name in paths else ending[0]
        if ending:
            raise UserError(f"{len(ending)} layers are called `{name}`", f"give one of: {', '.join(ending)}")
        lookup({path.rsplit("/", 1)[-1]: path for path in paths}, name, "layer with a map of activations")
        raise AssertionError("the name is in no path")


def traced(network: Network) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """A decorator that traces a function of pixels (batch, size, size, 3) and classes (batch,) int32 once."""
    pixels = tf.TensorSpec((None, network.size, network.size, 3), tf.float32)
    classes = tf.TensorSpec((None,), tf.int32)
    return lambda function: tf.function(function, input_signature=[pixels, classes], autograph=False)


class _Recorded:
    """What is recorded while a model runs: scores, a layer, and which tensor was computed from which."""

    def __init__(
        self, network: Network, watch: Callable[[Tensor], None] | None, *, is_guided: bool, layer: str | None
    ) -> None:
        self.network, self.watch, self.is_guided, self.wanted = network, watch, is_guided, layer
        self.scores: Tensor | None = None
        self.layer: Tap | None = None
        self._sources: dict[int, list[Tensor]] = {}
        self._taps: dict[int, Tap] = {}
        self._alive: list[Tensor] = []  # so that no identity is given twice

    def call(
        self, operation: Operation, path: tuple[str, ...], arguments: tuple[Tensor, ...], options: Options
    ) -> Tensor:
        inputs = [tensor for tensor in keras.tree.flatten((arguments, options)) if tf.is_tensor(tensor)]
        if _reduces(operation, inputs):
            # A copy: its gradient is that of what the head takes from it, without what goes on to further layers.
            (before,) = inputs
            copy = tf.identity(before)
            arguments, options = keras.tree.map_structure(
                lambda value: copy if value is before else value, (arguments, options)
            )
            inputs = [copy]
            self._taps[id(copy)] = Tap(copy, SINGLE in path)
            if self.watch is not None:
                self.watch(copy)
        output = self._compute(operation, arguments, options)
        if any(output is tensor for tensor in inputs):
            output = tf.identity(output)
        if self.is_guided and _rectifies(operation):
            output = _pass_positive_gradients(output)
        if self.wanted is not None and "/".join((*path, operation.name)) == self.wanted:
            self.layer = Tap(output, SINGLE in path)
        self._sources[id(output)] = inputs
        self._alive += [output, *inputs]
        return output

    def _compute(self, operation: Operation, arguments: tuple[Tensor, ...], options: Options) -> Tensor:
        """The output of an operation; a softmax of a head gives its scores instead, until members are pooled."""
        name = operation.name
        if name == "probabilities" and isinstance(operation, keras.layers.Dense):
            scores = tf.cast(arguments[0], tf.float32) @ operation.kernel
            self.scores = scores + operation.bias if operation.use_bias else scores
            return self.scores
        if re.fullmatch(r"heads_\d+_softmax", name):
            return tf.identity(arguments[0])
        if self.network.is_ensemble and re.fullmatch(r"classes_\d+", name):
            # A class that the member lacks has no column: its score is that of a probability of 0.
            is_missing = tf.reduce_sum(operation.kernel, 0) == 0
            return tf.where(is_missing, NEVER, operation(*arguments))
        if name == "members":
            self.scores = _pooled(self.network.model, arguments[0])
            return tf.nn.softmax(arguments[0])
        return operation(*arguments, **options)

    def taps_below(self, output: Tensor) -> Iterable[Tap]:
        """The maps that the output depends on through vectors alone, so not those of a block's own gates."""
        taps: dict[int, Tap] = {}
        waiting, visited = [output], set()
        while waiting:
            tensor = waiting.pop()
            if id(tensor) in visited:
                continue
            visited.add(id(tensor))
            for source in self._sources.get(id(tensor), ()):
                if id(source) in self._taps:
                    taps[id(source)] = self._taps[id(source)]
                elif not _is_map(source):
                    waiting.append(source)
        return taps.values()


def _pooled(ensemble: keras.Model, scores: Tensor) -> Tensor:
    """Scores (batch, classes) of an ensemble, of those of its members (batch, members, classes)."""
    if any(layer.name == "stack" for layer in ensemble.layers):
        stack = ensemble.get_layer("stack")
        logs = tf.maximum(tf.nn.log_softmax(scores), tf.math.log(tf.constant(FLOOR, tf.float32)))
        return tf.reshape(logs, (-1, stack.kernel.shape[0])) @ stack.kernel + stack.bias
    known = tf.where(scores < NEVER / 2, 0.0, scores)
    return tf.einsum("bmc,m->bc", known, ensemble.get_layer("pool").kernel)


def _is_map(tensor: Tensor) -> bool:
    """Whether a tensor has places: (batch, h, w, channels) with more than one of them."""
    return len(tensor.shape) == MAP_RANK and tuple(tensor.shape[1:3]) != (1, 1)


def _reduces(operation: Operation, inputs: list[Tensor]) -> bool:
    """Whether an operation makes a vector of one map, as pooling and flattening do."""
    if len(inputs) != 1 or not _is_map(inputs[0]):
        return False
    symbolic = keras.tree.flatten(operation.output)[0]
    return not _is_map(symbolic)


def _rectifies(operation: Operation) -> bool:
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", "") if activation is not None else type(operation).__name__
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return snake in RECTIFIERS or snake in ("re_lu", "leaky_re_lu", "leaky_relu")


def _pass_positive_gradients(values: Tensor) -> Tensor:
    return tf.custom_gradient(lambda inputs: (tf.identity(inputs), tf.nn.relu))(values)


def _paths(model: keras.Model, path: tuple[str, ...]) -> Iterable[str]:
    for operation in functional_graph(model).operations:
        inner = functional_graph(operation)
        if hasattr(inner, "_run_through_graph"):
            yield from _paths(inner, (*path, operation.name))
        elif _is_map(keras.tree.flatten(operation.output)[0]) and type(operation).__name__ != "InputLayer":
            yield "/".join((*path, operation.name))
