"""A training after its head stage: a small network of random weights, frozen, with drawn images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np

from models.backbones import build_backbone
from models.classifier import build_classifier
from models.freezing import freeze
from models.heads import HEADS, build_head
from models.zoo import BACKBONES
from pipelines.images.policies import find_policy
from pipelines.runs.examples import Dataset, Example, Split
from pipelines.runs.manifest import BackboneRecord
from pipelines.training.backbone import BackboneSource
from pipelines.training.pixel_stage import predict_parts
from pipelines.training.plan import TrainingNames, TrainingPlan, TrainingResult, switches_of
from tests.conftest import draw
from tests.pipelines.reporters import Notes
from tests.specs import train_spec, with_options

CLASSES = ("circle", "square", "triangle")
SIDE = 32
# What the fixture `prepared` gives: `prepared(head="mlp", fine_tune="2")`.
Prepare: TypeAlias = Callable[..., tuple[TrainingPlan, TrainingResult]]


def draw_dataset(folder: Path, counts: dict[Split, int]) -> Dataset:
    """Draw so many images of each class for each part."""
    rng = np.random.default_rng(0)
    examples = []
    for part, count in counts.items():
        for label, name in enumerate(CLASSES):
            for number in range(count):
                path = folder / f"{part}-{name}-{number}.png"
                draw(label, SIDE, rng).save(path)
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                examples.append(Example(path=str(path), label=label, split=part, sha256=sha256, source=str(path)))
    return Dataset(root="drawn", origin="folders", class_names=CLASSES, examples=tuple(examples))


def prepare(
    folder: Path, head: str = "linear", name: str = "small_cnn", per_class: int = 10, **options: Any
) -> tuple[TrainingPlan, TrainingResult]:
    """A plan whose last stage is fine-tuning, and the result of its head stage.

    Args:
        folder: for the images and the run.
        head: its name.
        name: of the backbone.
        per_class: training images.
        options: of the training, as on the command line.
    """
    keras.utils.set_random_seed(1)
    backbone = build_backbone(BACKBONES[name], weights="none", image_size=SIDE)
    top = build_head(HEADS[head], num_features=int(backbone.output_shape[-1]), num_classes=3, dropout=0.0)
    model = build_classifier(backbone, top)
    freeze(backbone)
    spec = train_spec(data="drawn", out=str(folder / "run"), fine_tune="1", epochs=3, batch=8, engine="keras")
    spec = with_options(spec, **options)
    run = folder / f"run{len(list(folder.glob('run*')))}"
    (run / "state").mkdir(parents=True)
    plan = TrainingPlan(
        spec=spec,
        names=TrainingNames(
            head=HEADS[head],
            source=BackboneSource(name=name, backbone=BACKBONES[name], weights="imagenet"),
            policy=find_policy(spec.data.augment, switches_of(spec.data)),
        ),
        dataset=draw_dataset(folder, {"train": per_class, "validation": 4, "test": 4}),
        folder=run,
        reporter=Notes(),
    )
    result = TrainingResult(
        model=model,
        predictions=predict_parts(plan, model, SIDE),
        history=[],
        stages=[],
        backbone=BackboneRecord(name=name, weights="imagenet", parameters=0, weights_sha256="ab" * 32),
    )
    return plan, result


def weights_of(model: keras.Model) -> dict[str, Any]:
    """The weights of a model, by path."""
    return {weight.path: weight.value.numpy() for weight in model.weights}


def notes_of(plan: TrainingPlan) -> list[str]:
    """What a stage reported."""
    assert isinstance(plan.reporter, Notes)
    return plan.reporter.lines
