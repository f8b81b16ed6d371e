"""Lists the methods of explanation: an entry each, with its paper and what its map holds.

The table imports nothing heavy: completion and help read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.explanations.network import Network
    from pipelines.explanations.records import Explain

DEFAULT = "hirescam"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to explain a score.

    Attributes:
        about: what a value of the map is, one line for people.
        paper: that describes it.
        build: makes the function, of a network and, of `activations` alone, the path of a layer (None for others).
        takes_layer: whether it shows a layer that `--layer` names.
        is_signed: whether values below 0 speak against the class; pictures show those above 0 alone.
        options: what it was computed with.
    """

    about: str
    paper: str
    build: Callable[[Network, str | None], Explain]
    takes_layer: bool = False
    is_signed: bool = False
    options: dict[str, int | float | str]


def _hirescam(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.class_activation import class_activation_map, weigh_each_place

    return class_activation_map(network, weigh_each_place)


def _grad_cam(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.class_activation import class_activation_map, weigh_each_channel

    return class_activation_map(network, weigh_each_channel)


def _gradient(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.pixel_gradients import saliency

    return saliency(network)


METHODS: dict[str, Method] = {
    "hirescam": Method(
        about="activation times gradient, summed over channels: what a place adds to the score of a linear head",
        paper="Draelos and Carin 2020, arXiv 2011.08891",
        build=_hirescam,
        is_signed=True,
        options={},
    ),
    "grad-cam": Method(
        about="activation times its channel's mean gradient, summed over channels",
        paper="Selvaraju et al. 2017, arXiv 1610.02391",
        build=_grad_cam,
        is_signed=True,
        options={},
    ),
    "gradient": Method(
        about="greatest absolute gradient of the score over a pixel's three colours",
        paper="Simonyan, Vedaldi and Zisserman 2014, arXiv 1312.6034",
        build=_gradient,
        options={},
    ),
}
