"""Draws a map beside the picture and over it, in colours that the colour-blind can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Flags, Singles
from pipelines.images.lettering import fitting, load_font

if TYPE_CHECKING:
    from PIL.Image import Image

# (height, width, 3) in [0, 255].
Colours: TypeAlias = NDArray[np.uint8]
GAP, HEADER = 8, 30
INK, PAPER = (51, 51, 51), (255, 255, 255)
# The brightest colour stands for this share of a map's values: single pixels of a gradient would darken all others.
BRIGHTEST = 99.5
# Share of the map in the overlay where it is brightest; where it is 0, the picture stays as it is.
OPACITY = 0.7
# Side of a picture in the grid of several.
GRID_SIDE = 200


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Views:
    """A picture and its map as images of one size.

    Attributes:
        picture: the upright picture.
        map: the map in colours; grey where the network saw nothing.
        overlay: the map over the picture.
    """

    picture: Colours
    map: Colours
    overlay: Colours


def draw_views(picture: Singles, laid: Singles, is_seen: Flags) -> Views:
    """Colour a map, and blend it with its picture.

    Args:
        picture: (height, width, 3) in [0, 255].
        laid: (height, width), the map on the picture; values below 0 are drawn as 0.
        is_seen: (height, width), whether the network saw a pixel; what it did not see is faded.
    """
    heat = np.maximum(laid, 0)
    seen = heat[is_seen & (heat > 0)]
    if seen.size:
        heat = np.minimum(heat / max(float(np.percentile(seen, BRIGHTEST)), np.finfo(np.float32).tiny), 1)
    colours = _viridis()[np.round(255 * heat).astype(np.uint8)]
    upright = np.clip(picture, 0, 255)
    share = OPACITY * heat[..., None] ** 0.75
    # Under the map the picture is grey, so that a colour is the map's.
    grey = np.repeat(upright @ np.asarray([[0.299], [0.587], [0.114]], np.float32), 3, -1)
    overlay = (1 - share) * (0.35 * upright + 0.65 * grey) + share * colours
    faded = 0.25 * grey + 0.75 * 255
    seen_pixel = is_seen[..., None]
    return Views(
        picture=_bytes(upright),
        map=_bytes(np.where(seen_pixel, colours, 225)),
        overlay=_bytes(np.where(seen_pixel, overlay, faded)),
    )


def draw_panel(views: Views, title: str, method: str) -> Image:
    """The picture, the map and the overlay side by side, under a line that says what is explained."""
    from PIL import Image, ImageDraw

    height, width = views.picture.shape[:2]
    wide = 3 * width + 4 * GAP
    panel = Image.new("RGB", (wide, HEADER + height + GAP), PAPER)
    for place, colours in enumerate((views.picture, views.map, views.overlay)):
        panel.paste(Image.fromarray(colours), (GAP + place * (width + GAP), HEADER))
    pen, font = ImageDraw.Draw(panel), load_font()
    room = wide - 2 * GAP - pen.textlength(method, font) - 2 * GAP
    pen.text((GAP, HEADER / 2), fitting(title, room), INK, font, anchor="lm")
    pen.text((wide - GAP, HEADER / 2), method, INK, font, anchor="rm")
    return panel


def draw_grid(rows: Sequence[tuple[str, Sequence[Colours]]], columns: Sequence[str]) -> Image:
    """Several pictures, one a row: the picture and an overlay for each method.

    Args:
        rows: of each picture its line of text and its images, which are scaled down to `GRID_SIDE`.
        columns: headings.
    """
    from PIL import Image, ImageDraw

    step, font = GRID_SIDE + GAP, load_font()
    grid = Image.new("RGB", (GAP + len(columns) * step, HEADER + len(rows) * (step + HEADER)), PAPER)
    pen = ImageDraw.Draw(grid)
    for column, heading in enumerate(columns):
        pen.text((GAP + column * step, HEADER / 2), fitting(heading, GRID_SIDE), INK, font, anchor="lm")
    for row, (title, images) in enumerate(rows):
        top = HEADER + row * (step + HEADER)
        for column, colours in enumerate(images):
            small = Image.fromarray(colours)
            small.thumbnail((GRID_SIDE, GRID_SIDE))
            left = GAP + column * step
            grid.paste(small, (left, top + GRID_SIDE - small.height))
        pen.text((GAP, top + GRID_SIDE + HEADER / 2), fitting(title, grid.width - 2 * GAP), INK, font, anchor="lm")
    return grid


def draw_channels(channels: Singles) -> Image:
    """The strongest channels of a layer (h, w, channels), at most 16, each in its own scale."""
    from PIL import Image

    strongest = np.argsort(-np.abs(channels).mean((0, 1)), kind="stable")[:16]
    side, columns = GRID_SIDE // 2, min(4, len(strongest))
    grid = Image.new("RGB", (GAP + columns * (side + GAP), GAP + -(-len(strongest) // columns) * (side + GAP)), PAPER)
    for place, channel in enumerate(strongest):
        values = np.maximum(channels[..., channel], 0)
        heat = np.round(255 * values / max(float(values.max()), np.finfo(np.float32).tiny)).astype(np.uint8)
        tile = Image.fromarray(_viridis()[heat]).resize((side, side), Image.Resampling.NEAREST)
        grid.paste(tile, (GAP + place % columns * (side + GAP), GAP + place // columns * (side + GAP)))
    return grid


@cache
def _viridis() -> Colours:
    """256 colours from dark violet over green to yellow, whose lightness rises evenly."""
    from matplotlib import colormaps

    return np.round(255 * colormaps["viridis"](np.arange(256))[:, :3]).astype(np.uint8)


def _bytes(values: NDArray[np.floating]) -> Colours:
    return np.round(values).astype(np.uint8)
