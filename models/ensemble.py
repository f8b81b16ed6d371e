"""Join several classifiers to one plain model: pixels in, pooled probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import lookup
from models.fingerprint import fingerprint
from models.fusing import Columns, fuse, plain
from models.pools import POOLS, Stack, logarithm

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]


def combine(
    members: Sequence[keras.Model],
    weights: Sequence[float] | None = None,
    *,
    method: str = "mean",
    columns: Sequence[Columns] | None = None,
    stack: Stack | None = None,
    temperature: float | None = None,
) -> keras.Model:
    """Join classifiers to one.

    Members on the same backbone (same layers, same weights) share it: it runs once, and their heads are one matrix
    product. Members with other input sizes resize the same pixels. Nothing is changed in the members, whose layers
    and weights the result shares.

    Args:
        members: from `models.classifier.build`, or any model from pixels (batch, height, width, 3) in [0, 255] to
            probabilities.
        weights: (members,) not negative; they are divided by their sum, and members of weight 0 are left out. None
            for equal ones. Not for `stack`.
        method: a key of `POOLS`.
        columns: for each member and each class of the result, the member's own number of that class, None where it
            does not know the class; None when all members have the result's classes in its order.
        stack: the regression, for the method `stack`.
        temperature: divides the logarithms of the pooled probabilities, > 0; None for 1.

    Returns:
        A model named `headstart`: pixels (batch, height, width, 3) float32 in [0, 255], of the largest member's
        size, -> probabilities (batch, classes) float32. Its layer `members` gives (batch, members, classes), in the
        order of the members that have a weight.

    Raises:
        UserError: an unknown method.
        ValueError: no members, weights that are none, or classes that do not fit.
    """
    import keras
    from keras import layers

    pool = lookup(POOLS, method, "ensemble method")
    orders = _orders(members, columns)
    shares = _shares(weights, len(members))
    kept = [place for place, share in enumerate(shares) if share > 0 or method == "stack"]

    size = max((tuple(members[place].input_shape[1:]) for place in kept), key=lambda shape: shape[0] * shape[1])
    pixels = keras.Input(size, name="pixels")
    answers = _answers([members[place] for place in kept], [orders[place] for place in kept], pixels)
    answers = layers.Identity(name="members")(answers)
    pooled = pool(answers, shares[kept], stack)
    if temperature is not None:
        pooled = layers.Rescaling(1 / temperature, name="temperature")(logarithm(pooled))
        pooled = layers.Softmax(name="calibrated")(pooled)
    return keras.Model(pixels, layers.Identity(name="probabilities")(pooled), name="headstart")


def _answers(members: Sequence[keras.Model], orders: Sequence[Columns], pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Each member's probabilities in the result's classes: (batch, members, classes)."""
    import keras
    from keras import layers

    trunks = _Trunks(pixels)
    fused: dict[tuple[Any, ...], list[int]] = {}
    groups: list[tuple[list[int], keras.KerasTensor]] = []
    parts = {place: _parts(member) for place, member in enumerate(members)}
    heads = {place: plain(part[2]) for place, part in parts.items() if part is not None}
    for place, member in enumerate(members):
        part, head = parts[place], heads.get(place)
        if part is not None and head is not None:
            features = trunks.features(part[0], part[1])
            fused.setdefault((id(features), head.shape), []).append(place)
            continue
        whole = keras.Model(member.inputs[0], member.outputs[0], name=f"member_{place + 1}")
        answer = whole(trunks.resized(member.input_shape[1:3]))
        answer = _rearranged(answer, orders[place], name=f"classes_{place + 1}")
        groups.append(([place], layers.Reshape((1, len(orders[place])), name=f"row_{place + 1}")(answer)))
    for number, places in enumerate(fused.values(), 1):
        first = parts[places[0]]
        assert first is not None
        group = [head for place in places if (head := heads[place]) is not None]
        order = [orders[place] for place in places]
        groups.append((places, fuse(group, trunks.features(first[0], first[1]), order, name=f"heads_{number}")))
    sequence = [place for places, _ in groups for place in places]
    rows = [answer for _, answer in groups]
    joined = layers.Concatenate(axis=1, name="rows")(rows) if len(rows) > 1 else rows[0]
    if sequence == sorted(sequence):
        return joined
    return keras.ops.take(joined, [sequence.index(place) for place in range(len(members))], axis=1)


class _Trunks:
    """The resized pixels and pooled features of one joined graph, each made once."""

    def __init__(self, pixels: keras.KerasTensor) -> None:
        self.pixels = pixels
        self._resized: dict[tuple[int, ...], keras.KerasTensor] = {tuple(pixels.shape[1:3]): pixels}
        self._prints: dict[int, str] = {}
        self._maps: dict[str, keras.KerasTensor] = {}
        self._features: dict[tuple[str, str], keras.KerasTensor] = {}

    def resized(self, size: tuple[int, ...]) -> keras.KerasTensor:
        import keras

        # An operation, not the layer Resizing: that one's `training` is True by default, and in a model called without
        # `training` (a SavedModel's signatures) Keras 3.15 hands it on to every layer behind it, dropout included.
        if tuple(size) not in self._resized:
            resize = keras.ops.image.resize
            self._resized[tuple(size)] = resize(self.pixels, tuple(size), interpolation="bilinear", antialias=True)
        return self._resized[tuple(size)]

    def features(self, backbone: keras.Model, pooling: keras.layers.Layer) -> keras.KerasTensor:
        import keras

        # Members that were loaded once and given other heads share the object: no need to hash it again.
        print_ = self._prints.setdefault(id(backbone), "") or fingerprint(backbone)
        self._prints[id(backbone)] = print_
        if print_ not in self._maps:
            named = keras.Model(backbone.inputs[0], backbone.outputs[0], name=f"backbone_{len(self._maps) + 1}")
            self._maps[print_] = named(self.resized(backbone.input_shape[1:3]))
        key = (print_, type(pooling).__name__)
        if key not in self._features:
            config = {**pooling.get_config(), "name": f"pooling_{len(self._features) + 1}"}
            self._features[key] = type(pooling).from_config(config)(self._maps[print_])
        return self._features[key]


def _parts(member: keras.Model) -> tuple[keras.Model, keras.layers.Layer, keras.Model] | None:
    """Backbone, pooling and head of a model from `classifier.build`; None for any other."""
    if [each.name for each in member.layers[2:]] != ["pooling", "head"]:
        return None
    backbone, pooling, head = member.layers[1:]
    return backbone, pooling, head


def _rearranged(answer: keras.KerasTensor, order: Columns, *, name: str) -> keras.KerasTensor:
    from keras import layers

    if order == tuple(range(answer.shape[-1])):
        return answer
    kernel = np.zeros((answer.shape[-1], len(order)), np.float32)
    for place, column in enumerate(order):
        if column is not None:
            kernel[column, place] = 1
    chosen = layers.Dense(len(order), use_bias=False, name=name, dtype="float32")
    rearranged = chosen(answer)
    chosen.set_weights([kernel])
    return rearranged


def _orders(members: Sequence[keras.Model], columns: Sequence[Columns] | None) -> list[Columns]:
    if not members:
        raise ValueError("an ensemble needs a member")
    widths = [int(member.output_shape[-1]) for member in members]
    orders: list[Columns]
    orders = [tuple(range(width)) for width in widths] if columns is None else [tuple(each) for each in columns]
    if len(orders) != len(members) or len({len(order) for order in orders}) != 1:
        raise ValueError(f"members have {sorted(set(widths))} classes: say with `columns` which is which")
    for width, order in zip(widths, orders, strict=True):
        if sorted(place for place in order if place is not None) != list(range(width)):
            raise ValueError(f"a member of {width} classes cannot have the columns {order}")
    return orders


def _shares(weights: ArrayLike | None, count: int) -> Floats:
    given = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or given.min() < 0 or given.sum() == 0:
        raise ValueError(f"{count} weights that are not negative and not all zero are needed")
    return (given / given.sum()).astype(np.float32)
