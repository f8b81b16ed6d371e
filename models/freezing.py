"""Freezes the layers of a backbone below a boundary, and every BatchNormalization layer by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.blocks import divide_into_blocks, find_lowest_trained
from models.keras_private import all_layers

if TYPE_CHECKING:
    import keras


def freeze(model: keras.Model) -> None:
    """Train nothing of a backbone, and keep every moving statistic as it is."""
    set_trainable(model, 0)


def set_trainable(model: keras.Model, blocks_from_top: int | str, *, train_bn: bool = False) -> None:
    """Train the top blocks of a backbone and nothing else. Compile the model that it is part of anew afterwards.

    A BatchNormalization layer that is not to be trained is frozen itself: calling the backbone with `training=False`
    does not hold its moving statistics in Keras 3.15 once the backbone is trainable.

    Args:
        model: as `build_backbone` returns it.
        blocks_from_top: how many blocks, or the lowest one's name, or `all`; see `models.blocks.find_lowest_trained`.
        train_bn: also train BatchNormalization in those blocks, and let its statistics move.

    Raises:
        UserError: there is no such block.
    """
    from keras.layers import BatchNormalization

    parts = divide_into_blocks(model)
    first = find_lowest_trained([name for name, _ in parts], blocks_from_top)
    # The model's own switch reaches down to every layer, so it comes first: a closed one would hide open layers.
    model.trainable = True
    for place, (_, members) in enumerate(parts):
        for layer in members:
            if not hasattr(layer, "trainable"):
                continue  # A function in the graph.
            layer.trainable = place >= first
            for inner in all_layers(layer):
                if isinstance(inner, BatchNormalization) and not train_bn:
                    inner.trainable = False
