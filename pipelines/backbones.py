"""Lists the backbones with their sizes and accuracies (no Keras), and describes one by its layers and blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from models.recommended import RECOMMENDED, Use
from models.weights import is_cached
from models.zoo import BACKBONES
from pipelines.features.measured_rates import list_measured_rates
from pipelines.runs.spec import ConvSpec, NetworkSpec
from pipelines.training.backbone import find_backbone
from pipelines.training.network_names import find_in_table, is_file_name

if TYPE_CHECKING:
    from models.blocks import Block
    from models.layers import LayerFacts

_DEFAULT_LAYERS = ConvSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSummary:
    """A backbone in the list; each attribute is a key of `headstart backbones --json`.

    Attributes:
        name: what `--backbone` takes.
        family: its architecture.
        image_size: side of its own input in pixels.
        parameters: with the top for the 1000 classes of ImageNet; None for networks that never had one.
        base_parameters: without the top, as headstart uses it.
        size_mb: of the weights with top in MB, as documented; None where it is not.
        top1: ImageNet top-1 accuracy in per cent, as documented; None where it is not.
        top5: ImageNet top-5 accuracy in per cent, likewise.
        pretrained: whether ImageNet weights are published.
        cached: whether the weights are in Keras' cache.
        recommended: `small`, `balanced` or `best`; None for all others.
        images_per_second: of which this machine computed features when a training measured its engines, at
            `image_size`; None where none did.
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
    recommended: Use | None
    images_per_second: float | None

    def to_json(self) -> dict[str, object]:
        """The summary as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSummary:
    """A block that `--fine-tune` can begin with.

    Attributes:
        name: what `--fine-tune` takes.
        from_top: its number from the top, from 1; `--fine-tune` takes it as well, as the number of blocks to train.
        parameters: of the block.
        trained: parameters of the block and of all blocks above it.
    """

    name: str
    from_top: int
    parameters: int
    trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneDescription:
    """A backbone layer by layer and block by block.

    Attributes:
        name: of the backbone.
        image_size: side in pixels of the input that the shapes are for.
        layers: from the input upwards, with the top for ImageNet where the network has one.
        blocks: from the top downwards, without that top.
    """

    name: str
    image_size: int
    layers: tuple[LayerFacts, ...]
    blocks: tuple[BlockSummary, ...]

    def to_json(self) -> dict[str, object]:
        """The description as plain data."""
        return asdict(self)


# Names of the parts of facts that are pairs or have four sides.
_PARTS: dict[str, tuple[str, ...]] = {"pad": ("top", "bottom", "left", "right")}
_PAIRS = ("support", "dilation", "stride", "receptive_field", "offset", "jump")
_PARTS |= dict.fromkeys(_PAIRS, ("height", "width"))


def layer_table(description: BackboneDescription) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """The header and the rows of a layer table for CSV: a column for every number; empty where a layer has none."""
    rows: list[dict[str, object]] = []
    for layer in description.layers:
        row: dict[str, object] = {}
        for name, value in asdict(layer).items():
            if name == "shape":
                row[name] = "x".join("" if side is None else str(side) for side in value)
            elif name in _PARTS:
                parts = _PARTS[name]
                row |= {f"{name}_{part}": of for part, of in zip(parts, value or ("",) * len(parts), strict=True)}
            else:
                row[name] = "" if value is None else value
        rows.append(row)
    return tuple(rows[0]), [tuple(row.values()) for row in rows]


def list_backbones() -> tuple[BackboneSummary, ...]:
    """Every backbone, in the order of the table."""
    rates = list_measured_rates()
    uses = {name: use for use, name in RECOMMENDED.items()}
    return tuple(
        BackboneSummary(
            name=backbone.name,
            family=backbone.family.name,
            image_size=backbone.image_size,
            parameters=backbone.parameters,
            base_parameters=backbone.base_parameters,
            size_mb=backbone.size_mb,
            top1=backbone.top1,
            top5=backbone.top5,
            pretrained=backbone.has_published_weights,
            cached=is_cached(backbone),
            recommended=uses.get(backbone.name),
            images_per_second=rates.get((backbone.name, backbone.image_size)),
        )
        for backbone in BACKBONES.values()
    )


def describe_backbone(
    name: str, *, image_size: int | None = None, conv: ConvSpec = _DEFAULT_LAYERS
) -> BackboneDescription:
    """Describe a backbone; it is built, which takes Keras, some seconds and the memory of its weights.

    Args:
        name: of the table, `conv:FILTERS`, a run's folder or a `.keras` file, which is described with its head.
        image_size: side of its input, pixels; None: its own.
        conv: the layers of a small network.

    Raises:
        UserError: no backbone has this name, which is found out before Keras is imported; or the input is too small,
            or not that of the file.
    """
    if is_file_name(name):
        return _describe_file(name, image_size)
    backbone = find_in_table(name, conv, image_size)

    from models.backbones import build_backbone, build_with_top
    from models.blocks import list_blocks
    from models.layers import list_layers

    without_top = build_backbone(backbone, weights="none", image_size=image_size)
    return BackboneDescription(
        name=backbone.name,
        image_size=int(without_top.input_shape[1]),
        layers=list_layers(build_with_top(backbone, image_size)),
        blocks=_block_summaries(list_blocks(without_top)),
    )


def _describe_file(name: str, image_size: int | None) -> BackboneDescription:
    source = find_backbone(NetworkSpec(backbone=name), _DEFAULT_LAYERS)

    from models.backbones import load_backbone
    from models.blocks import list_blocks
    from models.layers import list_layers
    from models.model_file import read_model

    backbone = load_backbone(Path(source.weights))
    side = int(backbone.input_shape[1])
    if image_size not in (None, side):
        raise UserError(f"`{name}` takes images of {side} x {side} pixels", "omit --image-size")
    return BackboneDescription(
        name=name,
        image_size=side,
        layers=list_layers(read_model(Path(source.weights), "give a `.keras` file")),
        blocks=_block_summaries(list_blocks(backbone)),
    )


def _block_summaries(blocks: Sequence[Block]) -> tuple[BlockSummary, ...]:
    """The blocks, given from the input upwards, from the top downwards."""
    summaries, trained = [], 0
    for from_top, block in enumerate(reversed(blocks), 1):
        trained += block.parameters
        summaries.append(BlockSummary(name=block.name, from_top=from_top, parameters=block.parameters, trained=trained))
    return tuple(summaries)
