"""`headstart backbones [NAME]`: the list of backbones, and one of them layer by layer, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.pages.tables import new_table, shortened
from pipelines.backbones import BackboneDescription, BackboneSummary, BlockSummary

if TYPE_CHECKING:
    from models.layers import LayerFacts

NAME_WIDTH = 20
# Keras' longest class names, in the words of the field.
_SHORT = {
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "GlobalAveragePooling2D": "GlobalAvgPool",
    "AveragePooling2D": "AvgPooling",
}


def list_page(summaries: Sequence[BackboneSummary], folder: str) -> Table:
    """The list.

    Args:
        summaries: in the order of the rows.
        folder: where Keras keeps weights, for the caption.
    """
    table = new_table()
    table.add_column("backbone", no_wrap=True)
    for heading in ("input", "params", "MB", "top-1", "top-5"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for summary in summaries:
        table.add_row(
            summary.name,
            str(summary.image_size),
            _millions(summary.parameters if summary.parameters is not None else summary.base_parameters),
            "-" if summary.size_mb is None else str(summary.size_mb),
            _percent(summary.top1),
            _percent(summary.top5),
            "cached" if summary.cached else "download" if summary.pretrained else "none",
        )
    table.caption = Text(
        "params: with the top for ImageNet; top-1, top-5: per cent on ImageNet, as\n"
        "Keras documents them; none: there are no weights, it is trained from scratch\n"
        f"cached: in {folder}"
    )
    table.caption_justify = "left"
    return table


def description_page(description: BackboneDescription) -> Group:
    """One backbone: its layers, then its blocks from the top."""
    return Group(_layers_table(description), "", _blocks_table(description.blocks))


def _layers_table(description: BackboneDescription) -> Table:
    table = new_table(gap=1)
    table.add_column("layer", no_wrap=True)
    table.add_column("type", no_wrap=True)
    for heading in ("output", "parameters", "memory", "field"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in description.layers:
        table.add_row(
            Text(shortened(row.name, NAME_WIDTH)),
            shortened(_SHORT.get(row.type, row.type).removesuffix("2D"), 13),
            "x".join("?" if side is None else str(side) for side in row.shape),
            f"{row.parameters:,}" if row.parameters else "-",
            "-" if row.activation_bytes is None else _bytes(row.activation_bytes),
            _field(row),
        )
    parameters = sum(row.parameters for row in description.layers)
    memory = sum(row.activation_bytes or 0 for row in description.layers)
    table.caption = Text(
        f"{parameters:,} parameters; {_bytes(memory)} of activations an image in float32\n"
        f"at {description.image_size} x {description.image_size}; field: pixels of the input that an output depends on"
    )
    table.caption_justify = "left"
    return table


def _blocks_table(blocks: Sequence[BlockSummary]) -> Table:
    table = new_table()
    table.add_column("--fine-tune", justify="right", no_wrap=True)
    table.add_column("or", no_wrap=True)
    table.add_column("its parameters", justify="right", no_wrap=True)
    table.add_column("trained in all", justify="right", no_wrap=True)
    for block in blocks:
        table.add_row(str(block.from_top), block.name, f"{block.parameters:,}", f"{block.trained:,}")
    table.caption = Text("counted from the top; 0: none, all: everything")
    table.caption_justify = "left"
    return table


def _field(row: LayerFacts) -> str:
    if row.receptive_field is None:
        return "all"
    height, width = row.receptive_field
    return str(height) if height == width else f"{height}x{width}"


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 950_000 else f"{count / 1e6:.2f} M"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
