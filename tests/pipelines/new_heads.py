"""New heads on a network that was trained on drawn pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.runs.feature_records import FeatureRecord
from pipelines.runs.manifest import Manifest
from pipelines.runs.models import load_run
from pipelines.runs.spec import TrainSpec
from tests.specs import train_spec, with_options


def spec_on(drawn: Path, data: Path, out: Path, **options: object) -> TrainSpec:
    """A new head, in steps and judged by the validation part, on the network of the run `one` of fixture `drawn`."""
    backbone = str(drawn / "one")
    spec = train_spec(data=str(data), out=str(out), backbone=backbone, epochs=12, heads=4, validation="hold-out")
    return with_options(spec, **options)


def features_of(manifest: Manifest) -> FeatureRecord:
    assert manifest.features is not None
    return manifest.features


def weights_of(run: Path) -> list[np.ndarray]:
    return load_run(run)[0].get_weights()


def are_equal(weights: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(weight, other) for weight, other in zip(weights, others, strict=True))


def assert_same_backbone(run: Path, other: Path) -> None:
    backbones = [load_run(folder)[0].get_layer("backbone").get_weights() for folder in (run, other)]
    assert are_equal(*backbones)
