"""The frozen bases that a run's model stands on, so that cached features can stand in for its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import runs
from pipelines.costs import base_key
from pipelines.decode import DECODE_VERSION
from pipelines.features import Base
from pipelines.voters import Joined

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenBase:
    """A frozen base of a run's model: what its features are cached under, and the layers that compute them."""

    key: Base
    backbone_layer: str
    pooling_layer: str
    engine: str


def bases_of(manifest: runs.Manifest) -> list[FrozenBase]:
    """The frozen bases that a run's model stands on; empty where it does not stand on such alone."""
    found = manifest.extra.get("bases", [])
    if not manifest.members and manifest.backbone.get("weights_sha256") is not None:
        single = {"backbone": manifest.backbone["name"], "weights_sha256": manifest.backbone["weights_sha256"]}
        single |= {"image_size": manifest.image_size, "pooling": manifest.head["pooling"]}
        layers = {"backbone_layer": "backbone", "pooling_layer": "pooling"}
        found = [{**single, **layers, "engine": manifest.spec.get("engine", "auto")}]
    return [
        FrozenBase(
            key=Base(
                backbone=str(each["backbone"]),
                weights_sha256=str(each["weights_sha256"]),
                image_size=int(each["image_size"]),
                pooling=str(each["pooling"]),
                decode_version=DECODE_VERSION,
            ),
            backbone_layer=each["backbone_layer"],
            pooling_layer=each["pooling_layer"],
            engine=str(each["engine"]),
        )
        for each in found
    ]


def record_bases(models: Sequence[Joined], model: keras.Model) -> list[dict[str, Any]]:
    """What `bases_of` reads of a joined model: its bases, and the layers where they end.

    Empty where a member has none, or where the layers are others than those expected.
    """
    found: dict[str, dict[str, Any]] = {}
    backbones: dict[tuple[str, int], str] = {}
    for one in models:
        backbone = one.manifest.backbone
        if backbone.get("weights_sha256") is None:
            return []
        weights = (str(backbone["weights_sha256"]), one.manifest.image_size)
        named = backbones.setdefault(weights, f"backbone_{len(backbones) + 1}")
        found.setdefault(
            base_key(one),
            {
                "backbone_layer": named,
                "pooling_layer": f"pooling_{len(found) + 1}",
                "backbone": str(backbone["name"]),
                "weights_sha256": weights[0],
                "image_size": one.manifest.image_size,
                "pooling": str(one.manifest.head["pooling"]),
                "engine": str(one.manifest.spec.get("engine", "auto")),
            },
        )
    names = {layer.name for layer in model.layers if layer.name.startswith(("backbone_", "pooling_"))}
    expected = {each[layer] for each in found.values() for layer in ("backbone_layer", "pooling_layer")}
    return list(found.values()) if names == expected else []
