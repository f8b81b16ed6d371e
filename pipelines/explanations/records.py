"""What is seen in a network on its way from pixels to scores, and what explains a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from models.arrays import Labels, Probabilities, Singles, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """A map of activations.

    Attributes:
        values: (batch, h, w, channels); of a network that sees mirror images too, these are in a second half of it.
        is_mirrored: whether it has that second half.
    """

    values: Tensor
    is_mirrored: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pass:
    """What one pass gives.

    Attributes:
        scores: (batch, classes) before the softmax.
        probabilities: (batch, classes) of the run, as `predict` gives them.
        taps: the maps that the head is computed from: what its averages, maxima or flattened values are taken of.
        layer: the output of the layer that was asked for; None where none was.
    """

    scores: Tensor
    probabilities: Tensor
    taps: list[Tap]
    layer: Tap | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explained:
    """Maps of a batch, with what they explain.

    Attributes:
        probabilities: (batch, classes) of the run.
        classes: (batch,) int32, the class explained.
        scores: (batch,) of these classes.
        maps: (batch, size, size), over the square that the network sees.
        details: further figures, (batch,) each.
        channels: (batch, h, w, channels) of a layer that is shown; None for other methods.
    """

    probabilities: Probabilities
    classes: Labels
    scores: Singles
    maps: Singles
    details: dict[str, Singles] = field(default_factory=dict)
    channels: Singles | None = None


# Pixels (batch, size, size, 3) and the classes to explain (batch,) int32, -1 for the predicted one, to maps.
Explain: TypeAlias = Callable[[Tensor, Tensor], Explained]
