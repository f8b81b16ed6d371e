"""Manifests and stages with the fields that a test cares about; the rest is filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipelines.runs.manifest import BackboneRecord, DataRecord, HeadRecord, Manifest, RunRequest, StageRecord

MANIFEST = Manifest(
    class_names=("cat", "dog"),
    image_size=32,
    backbone=BackboneRecord(name="net", weights="none", parameters=7),
    head=HeadRecord(name="linear", pooling="avg"),
    spec=RunRequest(),
    data=DataRecord(root="/photos", origin="folders", images={}, skipped=0),
    metrics={},
)


def manifest_with(**fields: Any) -> Manifest:  # fields of Manifest, of as many types
    """A manifest of a single model, with these fields."""
    return replace(MANIFEST, **fields)


def stage_with(**fields: Any) -> StageRecord:  # fields of StageRecord, of as many types
    """A stage of a training, with these fields."""
    stage = StageRecord(name="head", unfreeze="none", epochs=3, best_epoch=2, validation_loss=0.5, seconds=1.0)
    return replace(stage, **fields)
