"""Looks up the networks that are built by their names: those of the table, small ones, and both cut at a layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.conv_backbone import conv_backbone
from models.conv_network import PREFIX, ConvNetwork, read_counts
from models.errors import UserError, lookup
from models.zoo import BACKBONES, Backbone

if TYPE_CHECKING:
    from pipelines.runs.spec import ConvSpec, NetworkSpec, Pooling

FULLY_CONNECTED = ("fc6", "fc7")
FULLY_CONNECTED_HINT = "choose vgg16, vgg19, alexnet or zfnet, or another --pooling"


def cut_at(backbone: Backbone, pooling: Pooling, network: NetworkSpec) -> Backbone:
    """The backbone that ends in the fully connected layer that `pooling` names; itself where it names none."""
    if pooling not in FULLY_CONNECTED:
        return backbone
    layers, size = backbone.family.fully_connected, network.image_size
    if pooling not in layers:
        raise UserError(f"`{backbone.name}` has no layer `{pooling}`", FULLY_CONNECTED_HINT)
    if network.weights == "imagenet" and backbone.has_published_weights and size not in (None, backbone.image_size):
        raise UserError(
            f"the weights of `{pooling}` are for pictures of {backbone.image_size} pixels, not {size}",
            "omit --image-size, or choose another --pooling",
        )
    return replace(backbone, cut=layers[pooling])


def is_file_name(name: str) -> bool:
    """Whether a backbone's name is that of a run or a file, and not of a network to be built."""
    path = Path(name)
    if name in BACKBONES or name.startswith(PREFIX):
        return False
    return path.exists() or path.suffix == ".keras" or len(path.parts) > 1


def find_in_table(name: str, conv: ConvSpec, image_size: int | None = None) -> Backbone:
    """Look up a network that is built by its name.

    Args:
        name: of the table, or `conv:FILTERS`.
        conv: the layers of such a small network.
        image_size: side of its input, pixels; None: its own.

    Raises:
        UserError: the name is unknown, or the small network leaves nothing of such pictures.
    """
    if not name.startswith(PREFIX):
        return lookup(BACKBONES, name, "backbone")
    default = ConvNetwork(filters=read_counts(name.removeprefix(PREFIX), "--backbone"))
    network = replace(
        default,
        kernel=conv.kernel or default.kernel,
        activation=conv.activation or default.activation,
        dense=read_counts(conv.dense, "--dense") if conv.dense else (),
        channels=conv.channels or default.channels,
    )
    return conv_backbone(network, image_size)
