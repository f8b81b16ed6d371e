"""What `headstart backbones` lists: the table with what lies in the cache, as plain data. No Keras."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from models.errors import lookup
from models.weights import cached
from models.zoo import BACKBONES

if TYPE_CHECKING:
    from models.layers import LayerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneRow:
    """A backbone as it is listed; a key of `headstart backbones --json` for each attribute.

    Attributes:
        name: what `--backbone` takes.
        family: its architecture.
        image_size: side of its own input in pixels.
        parameters: with the top for the 1000 classes of ImageNet; None for networks that were never given one.
        base_parameters: without it: what headstart uses.
        size_mb: of the weights with top in MB, as documented; None where it is not.
        top1: ImageNet top-1 accuracy in percent, as documented; None where it is not.
        top5: likewise top-5.
        pretrained: whether ImageNet weights are published.
        cached: whether they lie in Keras' cache.
    """

    name: str
    family: str
    image_size: int
    parameters: int | None
    base_parameters: int
    size_mb: int | None
    top1: float | None
    top5: float | None
    pretrained: bool
    cached: bool


def catalogue() -> tuple[BackboneRow, ...]:
    """Every backbone, in the order of the table."""
    return tuple(
        BackboneRow(
            name=backbone.name,
            family=backbone.family.name,
            image_size=backbone.image_size,
            parameters=backbone.parameters,
            base_parameters=backbone.base_parameters,
            size_mb=backbone.size_mb,
            top1=backbone.top1,
            top5=backbone.top5,
            pretrained=backbone.pretrained,
            cached=cached(backbone),
        )
        for backbone in BACKBONES.values()
    )


def as_rows(entries: tuple[BackboneRow, ...]) -> list[dict[str, object]]:
    """The same for JSON."""
    return [asdict(entry) for entry in entries]


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

    from models.backbones import build_backbone, build_with_top
    from models.blocks import blocks
    from models.layers import anatomy

    layers = anatomy(build_with_top(backbone))
    found = blocks(build_backbone(backbone, weights="none"))
    trained, listed = 0, []
    for from_top, block in enumerate(reversed(found), 1):
        trained += block.parameters
        listed.append(BlockFacts(name=block.name, from_top=from_top, parameters=block.parameters, trained=trained))
    return Anatomy(name=name, image_size=backbone.image_size, layers=layers, blocks=tuple(listed))
