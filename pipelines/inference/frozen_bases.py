"""Lists the frozen bases of a run's model, whose cached features can replace passes over the pixels."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.features.cached import Base
from pipelines.images.readable import DECODE_VERSION
from pipelines.runs.manifest import BaseRecord, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBase:
    """A frozen base of a run's model.

    Attributes:
        key: of its features in the cache.
        backbone_layer: name of its layer in the run's model.
        pooling_layer: name of the layer that gives its features.
        engine: that computes features which are not cached.
    """

    key: Base
    backbone_layer: str
    pooling_layer: str
    engine: str


def frozen_bases(manifest: Manifest) -> list[CachedBase]:
    """The frozen bases of a run's model; empty where a part of the model sees the pixels otherwise."""
    records = manifest.bases
    if not manifest.members and manifest.backbone.weights_sha256 is not None:
        records = (_only_base(manifest, manifest.backbone.weights_sha256),)
    return [
        CachedBase(
            key=Base(
                backbone=record.backbone,
                weights_sha256=record.weights_sha256,
                image_size=record.image_size,
                pooling=record.pooling,
                decode_version=DECODE_VERSION,
            ),
            backbone_layer=record.backbone_layer,
            pooling_layer=record.pooling_layer,
            engine=record.engine,
        )
        for record in records
    ]


def _only_base(manifest: Manifest, weights_sha256: str) -> BaseRecord:
    """The base of a single model."""
    return BaseRecord(
        backbone_layer="backbone",
        pooling_layer="pooling",
        backbone=manifest.backbone.name,
        weights_sha256=weights_sha256,
        image_size=manifest.image_size,
        pooling=manifest.head.pooling,
        engine=manifest.engine_asked,
    )
