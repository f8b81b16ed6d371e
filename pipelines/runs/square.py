"""The square that a network sees of every image: its side, and how an image of another shape is fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.runs.ranges import PositiveInt

Fit: TypeAlias = Literal["squash", "crop", "pad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """The square that a network sees of every image.

    Attributes:
        size: its side, pixels.
        fit: `squash` scales the sides of an image independently; `crop` takes the greatest centred square; `pad` keeps
            the whole image and its aspect ratio, centred on mid-grey.
    """

    size: PositiveInt
    fit: Fit
