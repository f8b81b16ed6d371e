"""Joins several classifiers to one model: pixels in, pooled probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Weights
from models.errors import lookup
from models.fingerprint import fingerprint
from models.fusing import Columns, DenseHead, dense_head, fuse
from models.pools import POOLS, StackingRegression, logarithm

if TYPE_CHECKING:
    import keras


def combine(
    members: Sequence[keras.Model],
    weights: Sequence[float] | None = None,
    *,
    method: str = "mean",
    columns: Sequence[Columns] | None = None,
    stack: StackingRegression | None = None,
    temperature: float | None = None,
) -> keras.Model:
    """Join classifiers to one.

    Members on the same backbone (same layers, same weights) share it: it runs once, and their heads are one matrix
    product. Members with other input sizes resize the same pixels. The members stay as they are; the result shares
    their layers and weights.

    Args:
        members: from `models.classifier.build_classifier`, or any model from pixels (batch, height, width, 3) in
            [0, 255] to probabilities.
        weights: (members,) not negative; they are divided by their sum, and members of weight 0 are left out. None
            for equal ones. Not for `stack`.
        method: a key of `POOLS`.
        columns: for every member and every class of the result, the index of that class in the member, None where
            the member lacks the class; None when all members have the classes of the result in its order.
        stack: the regression, for the method `stack`.
        temperature: divides the logarithms of the pooled probabilities, > 0; None for 1.

    Returns:
        A model named `headstart`: pixels (batch, height, width, 3) float32 in [0, 255], of the largest member's
        size, -> probabilities (batch, classes) float32. Its layer `members` gives (batch, members, classes), in the
        order of the members that have a weight.

    Raises:
        UserError: an unknown method.
        ValueError: no members, unusable weights, or classes that do not fit.
    """
    import keras
    from keras import layers

    pool = lookup(POOLS, method, "ensemble method")
    all_columns = _checked_columns(members, columns)
    shares = _normalized(weights, len(members))
    used = [index for index, share in enumerate(shares) if share > 0 or method == "stack"]

    size = max((tuple(members[index].input_shape[1:]) for index in used), key=lambda shape: shape[0] * shape[1])
    pixels = keras.Input(size, name="pixels")
    by_member = _member_probabilities(
        [members[index] for index in used], [all_columns[index] for index in used], pixels
    )
    by_member = layers.Identity(name="members")(by_member)
    pooled = pool.tensors(by_member, shares[used], stack)
    if temperature is not None:
        pooled = layers.Rescaling(1 / temperature, name="temperature")(logarithm(pooled))
        pooled = layers.Softmax(name="calibrated")(pooled)
    return keras.Model(pixels, layers.Identity(name="probabilities")(pooled), name="headstart")


def _member_probabilities(
    members: Sequence[keras.Model], columns: Sequence[Columns], pixels: keras.KerasTensor
) -> keras.KerasTensor:
    """Compute the probabilities of every member in the classes of the result: (batch, members, classes)."""
    import keras
    from keras import layers

    shared = _SharedFeatures(pixels)
    fusable: dict[tuple[int, tuple[int, ...]], list[_FusableMember]] = {}
    groups: list[tuple[list[int], keras.KerasTensor]] = []
    for index, member in enumerate(members):
        parts = _parts(member)
        head = dense_head(parts[2]) if parts is not None else None
        if parts is not None and head is not None:
            features = shared.features(parts[0], parts[1])
            fusable.setdefault((id(features), head.shape), []).append(_FusableMember(index, head, features))
            continue
        whole = keras.Model(member.inputs[0], member.outputs[0], name=f"member_{index + 1}")
        probabilities = whole(shared.resized(member.input_shape[1:3]))
        probabilities = _reordered(probabilities, columns[index], name=f"classes_{index + 1}")
        row = layers.Reshape((1, len(columns[index])), name=f"row_{index + 1}")(probabilities)
        groups.append(([index], row))
    for number, group in enumerate(fusable.values(), 1):
        indices = [member.index for member in group]
        group_columns = [columns[index] for index in indices]
        rows = fuse([member.head for member in group], group[0].features, group_columns, name=f"heads_{number}")
        groups.append((indices, rows))
    return _in_order(groups)


def _in_order(groups: Sequence[tuple[list[int], keras.KerasTensor]]) -> keras.KerasTensor:
    """Join groups of members (batch, group, classes) to (batch, members, classes), in the order of the members."""
    import keras
    from keras import layers

    sequence = [index for indices, _ in groups for index in indices]
    rows = [probabilities for _, probabilities in groups]
    joined = layers.Concatenate(axis=1, name="rows")(rows) if len(rows) > 1 else rows[0]
    if sequence == sorted(sequence):
        return joined
    return keras.ops.take(joined, [sequence.index(index) for index in range(len(sequence))], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _FusableMember:
    """A member whose head can be fused with others on the same features.

    Attributes:
        index: of the member.
        head: its weights.
        features: (batch, features), the input of the head.
    """

    index: int
    head: DenseHead
    features: keras.KerasTensor


class _SharedFeatures:
    """The resized pixels and pooled features of one joined graph, computed once for all members that share them."""

    def __init__(self, pixels: keras.KerasTensor) -> None:
        self.pixels = pixels
        self._resized: dict[tuple[int, ...], keras.KerasTensor] = {tuple(pixels.shape[1:3]): pixels}
        self._fingerprints: dict[int, str] = {}
        self._maps: dict[str, keras.KerasTensor] = {}
        self._features: dict[tuple[str, str], keras.KerasTensor] = {}

    def resized(self, size: tuple[int, ...]) -> keras.KerasTensor:
        import keras

        # An operation, because the layer Resizing has `training=True` by default: in a model called without
        # `training` (a SavedModel's signatures) Keras 3.15 passes it to every layer behind it, dropout included.
        if tuple(size) not in self._resized:
            resize = keras.ops.image.resize
            self._resized[tuple(size)] = resize(self.pixels, tuple(size), interpolation="bilinear", antialias=True)
        return self._resized[tuple(size)]

    def features(self, backbone: keras.Model, pooling: keras.layers.Layer) -> keras.KerasTensor:
        import keras

        # Members with other heads may share the backbone object, which is then hashed once.
        network = self._fingerprints.setdefault(id(backbone), "") or fingerprint(backbone)
        self._fingerprints[id(backbone)] = network
        if network not in self._maps:
            named = keras.Model(backbone.inputs[0], backbone.outputs[0], name=f"backbone_{len(self._maps) + 1}")
            self._maps[network] = named(self.resized(backbone.input_shape[1:3]))
        key = (network, type(pooling).__name__)
        if key not in self._features:
            config = {**pooling.get_config(), "name": f"pooling_{len(self._features) + 1}"}
            self._features[key] = type(pooling).from_config(config)(self._maps[network])
        return self._features[key]


def _parts(member: keras.Model) -> tuple[keras.Model, keras.layers.Layer, keras.Model] | None:
    """Backbone, pooling and head of a model from `classifier.build`; None for any other model."""
    if [layer.name for layer in member.layers[2:]] != ["pooling", "head"]:
        return None
    backbone, pooling, head = member.layers[1:]
    return backbone, pooling, head


def _reordered(probabilities: keras.KerasTensor, columns: Columns, *, name: str) -> keras.KerasTensor:
    from keras import layers

    if columns == tuple(range(probabilities.shape[-1])):
        return probabilities
    kernel = np.zeros((probabilities.shape[-1], len(columns)), np.float32)
    for index, column in enumerate(columns):
        if column is not None:
            kernel[column, index] = 1
    permutation = layers.Dense(len(columns), use_bias=False, name=name, dtype="float32")
    reordered = permutation(probabilities)
    permutation.set_weights([kernel])
    return reordered


def _checked_columns(members: Sequence[keras.Model], columns: Sequence[Columns] | None) -> list[Columns]:
    """The columns of every member, where None stands for the same classes in the same order; see `combine`."""
    if not members:
        raise ValueError("an ensemble needs at least one member")
    widths = [int(member.output_shape[-1]) for member in members]
    checked: list[Columns]
    checked = [tuple(range(width)) for width in widths] if columns is None else [tuple(row) for row in columns]
    if len(checked) != len(members) or len({len(row) for row in checked}) != 1:
        raise ValueError(f"members have {sorted(set(widths))} classes: `columns` must align them")
    for width, row in zip(widths, checked, strict=True):
        if sorted(column for column in row if column is not None) != list(range(width)):
            raise ValueError(f"a member of {width} classes cannot have the columns {row}")
    return checked


def _normalized(weights: ArrayLike | None, count: int) -> Weights:
    """Weights (members,) divided by their sum; equal ones for None."""
    raw = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if raw.shape != (count,) or not np.isfinite(raw).all() or raw.min() < 0 or raw.sum() == 0:
        raise ValueError(f"{count} weights are needed, none negative and not all zero")
    return (raw / raw.sum()).astype(np.float32)
