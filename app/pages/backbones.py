"""Prints the list of backbones, and one backbone layer by layer and block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.pages.tables import file_size, millions, new_table, shortened
from models.recommended import DEFAULT_BACKBONE, RECOMMENDED
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


def list_page(summaries: Sequence[BackboneSummary], folder: str) -> Group:
    """The backbones that are recommended, then all.

    Args:
        summaries: in the order of the rows.
        folder: where Keras keeps weights, for the caption.
    """
    return Group(_recommended_table(summaries), "", _list_table(summaries, folder))


def _recommended_table(summaries: Sequence[BackboneSummary]) -> Table:
    numbers = ("params", "top-1", "img/s here")
    table = new_table(
        ("recommended", "backbone", *numbers),
        right=numbers,
        caption=f"train takes {DEFAULT_BACKBONE} where no --backbone is given; headstart compare tells which is better "
        "on your pictures",
    )
    by_use = {summary.recommended: summary for summary in summaries}
    for use in RECOMMENDED:
        summary = by_use[use]
        table.add_row(
            use, summary.name, _parameters(summary), _per_cent(summary.top1), _rate(summary.images_per_second)
        )
    return table


def _list_table(summaries: Sequence[BackboneSummary], folder: str) -> Table:
    numbers = ("input", "params", "MB", "top-1", "top-5", "img/s")
    table = new_table(
        ("backbone", *numbers, "weights"),
        right=numbers,
        gap=1,
        caption=(
            "params: with the ImageNet head, if any; top-1, top-5: accuracy on ImageNet in per cent, by Keras' "
            "documentation; img/s: images a second of which a training on this machine computed features, - until one "
            "did; none: no weights, training is from scratch\n"
            f"cached: in {folder}"
        ),
    )
    for summary in summaries:
        table.add_row(
            summary.name,
            str(summary.image_size),
            _parameters(summary),
            "-" if summary.size_mb is None else str(summary.size_mb),
            _per_cent(summary.top1),
            _per_cent(summary.top5),
            _rate(summary.images_per_second),
            "cached" if summary.cached else "download" if summary.pretrained else "none",
        )
    return table


def description_page(description: BackboneDescription) -> Group:
    """One backbone: its layers and their windows from the input upwards, then its blocks from the top downwards."""
    return Group(
        _layers_table(description), "", _windows_table(description.layers), "", _blocks_table(description.blocks)
    )


def _layers_table(description: BackboneDescription) -> Table:
    layers, side = description.layers, description.image_size
    activations = file_size(sum(layer.activation_bytes or 0 for layer in layers))
    weights = file_size(sum(layer.parameter_bytes for layer in layers))
    numbers = ("output", "parameters", "memory", "field")
    table = new_table(
        ("layer", "type", *numbers),
        right=numbers,
        gap=1,
        caption=(
            f"{sum(layer.parameters for layer in layers):,} parameters, {weights} in float32; {activations} of "
            f"activations per image of {side} x {side} pixels, in float32; field: receptive "
            "field, in pixels of the input"
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


def _windows_table(layers: Sequence[LayerFacts]) -> Table:
    numbers = ("support", "stride", "pad", "depth", "filters", "offset", "step")
    table = new_table(
        ("layer", *numbers),
        right=numbers,
        gap=1,
        caption=(
            "support: of the window, /2 where dilated by 2; pad: above and to the left, then "
            "below and to the right where they differ; depth: channels or features that a "
            "filter sees; offset: centre of the first output's field, step: from there to "
            "the next output's, in pixels of the input, counted from 1"
        ),
    )
    for layer in layers:
        if layer.pad is None and layer.filters is None:
            continue
        table.add_row(
            Text(shortened(layer.name, NAME_WIDTH)),
            _support(layer),
            _pair(layer.stride),
            _pad(layer.pad),
            "-" if layer.filter_depth is None else str(layer.filter_depth),
            "-" if layer.filters is None else str(layer.filters),
            _pair(layer.offset),
            "-" if layer.offset is None else _pair(layer.jump),
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
    return _pair(layer.receptive_field)


def _support(layer: LayerFacts) -> str:
    holes = "" if layer.dilation in (None, (1, 1)) else f"/{_pair(layer.dilation)}"
    return _pair(layer.support) + holes


def _pair(sides: tuple[float, float] | None) -> str:
    if sides is None:
        return "-"
    height, width = sides
    return f"{height:g}" if height == width else f"{height:g}x{width:g}"


def _pad(pad: tuple[int, int, int, int] | None) -> str:
    if pad is None:
        return "-"
    top, bottom, left, right = pad
    before, behind = _pair((top, left)), _pair((bottom, right))
    return before if before == behind else f"{before},{behind}"


def _parameters(summary: BackboneSummary) -> str:
    return millions(summary.parameters if summary.parameters is not None else summary.base_parameters)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def _per_cent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
