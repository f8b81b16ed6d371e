"""What `headstart backbones` lists: the table with what lies in the cache, as plain data. No Keras."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from models.weights import cached
from models.zoo import BACKBONES


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
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


def catalogue() -> tuple[Entry, ...]:
    """Every backbone, in the order of the table."""
    return tuple(
        Entry(
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


def as_rows(entries: tuple[Entry, ...]) -> list[dict[str, object]]:
    """The same for JSON."""
    return [asdict(entry) for entry in entries]
