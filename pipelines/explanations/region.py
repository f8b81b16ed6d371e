"""Says which part of a picture the network's square covers, and lays a map on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Flags, Singles
from pipelines.runs.square import Square


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The part of an upright picture that the network's square covers, in pixels of the picture.

    Attributes:
        left: of its left edge; below 0 where padding lies beside the picture.
        top: of its upper edge; likewise.
        width: of the square, which may be more than the picture's.
        height: likewise.
    """

    left: float
    top: float
    width: float
    height: float


def region_of(height: int, width: int, square: Square) -> Region:
    """The region that a square covers of a picture.

    Args:
        height: of the upright picture, pixels.
        width: likewise.
        square: that the network sees.
    """
    if square.fit == "squash":
        return Region(left=0.0, top=0.0, width=float(width), height=float(height))
    if square.fit == "crop":
        side = float(min(height, width))
        return Region(left=(width - side) / 2, top=(height - side) / 2, width=side, height=side)
    # As `pipelines.images.resize` pads: whole pixels of the square for the picture and for what lies before it.
    longest, sides = max(height, width), []
    for length in (height, width):
        inside = max(round(length / longest * square.size), 1)
        pixel = length / inside
        sides.append((-((square.size - inside) // 2) * pixel, square.size * pixel))
    (top, tall), (left, wide) = sides
    return Region(left=left, top=top, width=wide, height=tall)


def lay_on_picture(
    map_: Singles, region: Region, picture: tuple[int, int], shown: tuple[int, int]
) -> tuple[Singles, Flags]:
    """Bring a map from the square to the picture.

    Args:
        map_: (size, size) over the square.
        region: that it covers.
        picture: height and width of the upright picture, pixels.
        shown: height and width of the picture as it is shown, pixels.

    Returns:
        The map (height, width) as it is shown, interpolated bilinearly, and whether the network saw a pixel; where it
        saw none, the map is 0.
    """
    from PIL import Image

    size = map_.shape[0]
    scale_y, scale_x = picture[0] / shown[0], picture[1] / shown[1]
    # From shown pixels to those of the square.
    factor_x, factor_y = scale_x * size / region.width, scale_y * size / region.height
    shift_x, shift_y = -region.left * size / region.width, -region.top * size / region.height
    matrix = (factor_x, 0.0, shift_x, 0.0, factor_y, shift_y)
    image = Image.fromarray(np.asarray(map_, np.float32))
    laid = image.transform(shown[::-1], Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    columns = (np.arange(shown[1]) + 0.5) * factor_x + shift_x
    rows = (np.arange(shown[0]) + 0.5) * factor_y + shift_y
    is_seen = ((rows >= 0) & (rows <= size))[:, None] & ((columns >= 0) & (columns <= size))[None, :]
    return np.where(is_seen, np.asarray(laid), np.float32(0)), is_seen
