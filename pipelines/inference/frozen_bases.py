"""The frozen bases that a run's model stands on, so that cached features can stand in for its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.features.cached import Base
from pipelines.images.readable import DECODE_VERSION
from pipelines.runs.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBase:
    """A frozen base of a run's model: what its features are cached under, and the layers that compute them."""

    key: Base
    backbone_layer: str
    pooling_layer: str
    engine: str


def bases_of(manifest: Manifest) -> list[CachedBase]:
    """The frozen bases that a run's model stands on; empty where it does not stand on such alone."""
    found = manifest.extra.get("bases", [])
    if not manifest.members and manifest.backbone.get("weights_sha256") is not None:
        single = {"backbone": manifest.backbone["name"], "weights_sha256": manifest.backbone["weights_sha256"]}
        single |= {"image_size": manifest.image_size, "pooling": manifest.head["pooling"]}
        layers = {"backbone_layer": "backbone", "pooling_layer": "pooling"}
        found = [{**single, **layers, "engine": manifest.spec.get("engine", "auto")}]
    return [
        CachedBase(
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
