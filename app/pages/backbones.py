"""Prints the list of backbones, and one backbone layer by layer and block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.pages.tables import file_size, millions, new_table, shortened
from pipelines.backbones import BackboneDescription, BackboneSummary, BlockSummary

if TYPE_CHECKING:
    from models.layers import LayerFacts

NAME_WIDTH, TYPE_WIDTH = 20, 13
# Keras' longest class names, shorter.
_SHORT_TYPES = {
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "GlobalAveragePooling2D": "GlobalAvgPool",
    "AveragePooling2D": "AvgPooling",
}


def list_page(summaries: Sequence[BackboneSummary], folder: str) -> Table:
    """The list of backbones.

    Args:
        summaries: in the order of the rows.
        folder: where Keras keeps weights, for the caption.
    """
    numbers = ("input", "params", "MB", "top-1", "top-5")
    table = new_table(
        ("backbone", *numbers, "weights"),
        right=numbers,
        caption=(
            "params: with the ImageNet head, if any; top-1, top-5: accuracy on ImageNet\n"
            "in per cent, by Keras' documentation; none: no weights, training is from\n"
            "scratch\n"
            f"cached: in {folder}"
        ),
    )
    for summary in summaries:
        table.add_row(
            summary.name,
            str(summary.image_size),
            millions(summary.parameters if summary.parameters is not None else summary.base_parameters),
            "-" if summary.size_mb is None else str(summary.size_mb),
            _per_cent(summary.top1),
            _per_cent(summary.top5),
            "cached" if summary.cached else "download" if summary.pretrained else "none",
        )
    return table


def description_page(description: BackboneDescription) -> Group:
    """One backbone: its layers from the input upwards, then its blocks from the top downwards."""
    return Group(_layers_table(description), "", _blocks_table(description.blocks))


def _layers_table(description: BackboneDescription) -> Table:
    layers, side = description.layers, description.image_size
    memory = file_size(sum(layer.activation_bytes or 0 for layer in layers))
    numbers = ("output", "parameters", "memory", "field")
    table = new_table(
        ("layer", "type", *numbers),
        right=numbers,
        gap=1,
        caption=(
            f"{sum(layer.parameters for layer in layers):,} parameters; {memory} of float32 activations per image of\n"
            f"{side} x {side} pixels; field: receptive field, in pixels of the input"
        ),
    )
    for layer in layers:
        table.add_row(
            Text(shortened(layer.name, NAME_WIDTH)),
            shortened(_SHORT_TYPES.get(layer.type, layer.type).removesuffix("2D"), TYPE_WIDTH),
            "x".join("?" if size is None else str(size) for size in layer.shape),
            f"{layer.parameters:,}" if layer.parameters else "-",
            "-" if layer.activation_bytes is None else file_size(layer.activation_bytes),
            _receptive_field(layer),
        )
    return table


def _blocks_table(blocks: Sequence[BlockSummary]) -> Table:
    headings = ("--fine-tune", "or", "parameters", "trained in total")
    table = new_table(
        headings,
        right=(headings[0], *headings[2:]),
        caption="counted from the top; all: every block",
    )
    for block in blocks:
        table.add_row(str(block.from_top), block.name, f"{block.parameters:,}", f"{block.trained:,}")
    return table


def _receptive_field(layer: LayerFacts) -> str:
    if layer.receptive_field is None:
        return "all"
    height, width = layer.receptive_field
    return str(height) if height == width else f"{height}x{width}"


def _per_cent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
