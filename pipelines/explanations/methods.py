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
# SmoothGrad: noisy copies, and their noise as a share of the range of an image's pixels (10 to 20 % in the paper).
SAMPLES, NOISE = 25, 0.15
# Integrated gradients: steps, and the grey level that they begin at, which pads images too.
STEPS, BASELINE = 128, 127.5
# Occlusion: the side of the grey square is the image's side divided by this: 32 of 224 pixels.
SHARE = 7


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


def _smoothgrad(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.pixel_gradients import smoothgrad

    return smoothgrad(network, samples=SAMPLES, noise=NOISE)


def _integrated_gradients(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.pixel_gradients import integrated_gradients

    return integrated_gradients(network, steps=STEPS, baseline=BASELINE)


def _guided(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.pixel_gradients import saliency

    return saliency(network, is_guided=True)


def _occlusion(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.occlusion import occlusion

    return occlusion(network, share=SHARE, grey=BASELINE)


def _activations(network: Network, layer: str | None) -> Explain:
    from pipelines.explanations.activations import layer_activations

    assert layer is not None
    return layer_activations(network, layer)


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
    "smoothgrad": Method(
        about="greatest absolute value over a pixel's three colours of the mean gradient over noisy copies",
        paper="Smilkov et al. 2017, arXiv 1706.03825",
        build=_smoothgrad,
        options={"samples": SAMPLES, "noise": NOISE},
    ),
    "integrated-gradients": Method(
        about="what a pixel adds to the score on the straight way from a grey image",
        paper="Sundararajan, Taly and Yan 2017, arXiv 1703.01365",
        build=_integrated_gradients,
        is_signed=True,
        options={"steps": STEPS, "baseline": BASELINE},
    ),
    "guided": Method(
        about="the same as gradient, by guided backpropagation: negative gradients are dropped at each ReLU",
        paper="Springenberg et al. 2015, arXiv 1412.6806",
        build=_guided,
        options={},
    ),
    "occlusion": Method(
        about="mean fall of the score over the grey squares that cover a pixel",
        paper="Zeiler and Fergus 2014, arXiv 1311.2901",
        build=_occlusion,
        is_signed=True,
        options={"share": SHARE, "grey": BASELINE},
    ),
    "activations": Method(
        about="mean absolute activation of a layer's channels; needs no class",
        paper="Zeiler and Fergus 2014, arXiv 1311.2901",
        build=_activations,
        takes_layer=True,
        options={},
    ),
}
