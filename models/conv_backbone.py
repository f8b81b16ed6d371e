"""Turns the name `conv:10,20` and its options into a backbone, as if it stood in the table."""

from __future__ import annotations

from models.conv_network import PREFIX, ConvNetwork
from models.errors import UserError
from models.families import Family
from models.zoo import Backbone, PublishedRecipe

SIDE = 28  # of the digits that such networks are first trained on
_RECIPE = PublishedRecipe(optimizer="sgd", learning_rate=1e-2, batch_size=32)  # that of the LeNets


def conv_backbone(network: ConvNetwork, image_size: int | None) -> Backbone:
    """The record of a small network.

    Args:
        network: its layers.
        image_size: side of its input, pixels; None for 28.

    Raises:
        UserError: its kernels leave nothing of such pictures.
    """
    side = image_size or SIDE
    name = PREFIX + ",".join(map(str, network.filters))
    if side < network.smallest_side:
        raise UserError(
            f"`{name}` with kernels of {network.kernel} x {network.kernel} pixels leaves nothing of {side} x {side}",
            f"give --image-size {network.smallest_side} or more, fewer layers, or a smaller --kernel",
        )
    family = Family(
        name="small CNN",
        module="models.conv_network",
        scaling="grey" if network.channels == 1 else "tf",
        min_size=network.smallest_side,
        weights_file="",
    )
    return Backbone(
        name=name,
        constructor="build_conv_network",
        family=family,
        image_size=side,
        base_parameters=network.num_parameters(side),
        conv_network=network,
        recipe=_RECIPE,
    )
