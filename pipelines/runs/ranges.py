"""Ranges of the values in the files of a run: `msgspec.convert` refuses what is outside of them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

# The hash of a content, hexadecimal.
Sha256: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
PositiveInt: TypeAlias = Annotated[int, Meta(ge=1)]
NonNegativeInt: TypeAlias = Annotated[int, Meta(ge=0)]
NonNegativeFloat: TypeAlias = Annotated[float, Meta(ge=0)]
# A share of images, such as an accuracy.
Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
# A rate below 1, such as that of dropout or label smoothing.
Rate: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
# A factor that shrinks, such as that of the learning rate from block to block.
Factor: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
