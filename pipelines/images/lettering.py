"""Gives the font that is written on pictures, and cuts text to the room that it has there."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.system.text import one_line

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FONT = 15  # pixels


@cache
def load_font() -> FreeTypeFont:
    """The font of all pictures, which comes with Matplotlib."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", FONT)


def fitting(text: str, width: float) -> str:
    """A text in one line, cut to a width in pixels."""
    line, font = one_line(text), load_font()
    while line and font.getlength(line) > width:
        line = line[:-3] + ".." if len(line) > 3 else ""
    return line
