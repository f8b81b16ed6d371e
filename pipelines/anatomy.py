"""What `headstart backbones NAME` shows: the layers of a backbone, and the blocks that fine-tuning counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from models.errors import lookup
from models.zoo import BACKBONES

if TYPE_CHECKING:
    from models.anatomy import LayerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFacts:
    """A block that `--fine-tune` can begin with.

    Attributes:
        name: what `--fine-tune` takes.
        from_top: or this number: how many blocks are trained.
        parameters: its own.
        trained: its own and those of all blocks above it.
    """

    name: str
    from_top: int
    parameters: int
    trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """A backbone taken apart.

    Attributes:
        name: its key.
        image_size: side in pixels of the input that the shapes are for.
        layers: from the input upwards, with the top for ImageNet where Keras has one.
        blocks: from the top downwards, without that top.
    """

    name: str
    image_size: int
    layers: tuple[LayerFacts, ...]
    blocks: tuple[BlockFacts, ...]

    def to_json(self) -> dict[str, object]:
        """The same as plain data."""
        return asdict(self)


def describe(name: str) -> Anatomy:
    """Take a backbone apart: builds it, which needs Keras, some seconds and the memory of its weights.

    Raises:
        UserError: there is no such backbone; told without Keras.
    """
    backbone = lookup(BACKBONES, name, "backbone")

    from models.anatomy import anatomy
    from models.backbones import build_backbone, build_with_top
    from models.blocks import blocks

    layers = anatomy(build_with_top(backbone))
    found = blocks(build_backbone(backbone, weights="none"))
    trained, listed = 0, []
    for from_top, block in enumerate(reversed(found), 1):
        trained += block.parameters
        listed.append(BlockFacts(name=block.name, from_top=from_top, parameters=block.parameters, trained=trained))
    return Anatomy(name=name, image_size=backbone.image_size, layers=layers, blocks=tuple(listed))
