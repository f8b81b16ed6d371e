"""Runs the stages of a training plan and completes its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.runs.examples import SPLITS, Dataset, Example
from pipelines.runs.folder import finish_run
from pipelines.runs.manifest import Manifest
from pipelines.runs.models import save_model
from pipelines.system.files import write_csv
from pipelines.system.progress import PhaseTimer
from pipelines.system.versions import versions
from pipelines.training.plan import TrainingPlan, TrainingResult, options_without_effect

if TYPE_CHECKING:
    pass


def execute_plan(work: TrainingPlan, clock: PhaseTimer) -> Manifest:
    """Train on images that are checked and divided, and complete the run in `work.folder`."""
    spec, dataset, folder = work.spec, work.dataset, work.folder

    # The backbone gets a new head: on features computed once, or on fresh views of the pixels.
    import keras

    keras.utils.set_random_seed(spec.seed)
    outcome = _train_stages(work)
    clock.lap("train")

    # What the run answers, judged on images that decided nothing (test) and on those that chose it (validation).
    from pipelines.evaluation.metrics import report
    from pipelines.evaluation.saved_predictions import save_predictions
    from pipelines.training.curves import PICTURE, draw_curves

    metrics = {
        part: report(probabilities, labels, dataset.class_names).to_json()
        for part, (probabilities, labels) in outcome.answers.items()
    }
    save_model(outcome.model, folder)
    write_csv(folder / "history.csv", *history_table(outcome.history))
    draw_curves(outcome.history, outcome.stages, folder / PICTURE)
    save_predictions(folder, outcome.answers, {part: dataset.part(part) for part in SPLITS})
    manifest = manifest_of(work, outcome, metrics)
    clock.lap("save")
    manifest = replace(manifest, seconds=clock.laps)
    finish_run(folder, manifest)
    return manifest


def _train_stages(work: TrainingPlan) -> TrainingResult:
    """Head first, then what is to be fine-tuned; or everything from scratch."""
    from pipelines.training import head_stage as stages

    if work.source.untrained:
        from pipelines.training.from_scratch import from_scratch

        return from_scratch(work)
    outcome = stages.head_on_features(work) if work.spec.cache else stages.head_on_pixels(work)
    if work.spec.fine_tune is not None:
        from pipelines.training.fine_tune import fine_tune

        outcome = fine_tune(work, outcome)
    return outcome


def manifest_of(work: TrainingPlan, outcome: TrainingResult, metrics: dict[str, Any]) -> Manifest:
    """What is kept of a training."""
    return Manifest(
        class_names=work.dataset.class_names,
        image_size=int(outcome.model.input_shape[1]),
        backbone=outcome.backbone,
        head={"pooling": work.spec.pooling, **asdict(work.head)},
        spec=asdict(work.spec),
        data=data_of(work.dataset),
        metrics=metrics,
        stages=tuple(outcome.stages),
        notes=(*options_without_effect(work.spec, untrained=work.source.untrained), *outcome.notes),
        versions=versions(),
        extra=outcome.extra,
    )


def data_of(dataset: Dataset) -> dict[str, Any]:
    """What run.json says of the images."""
    names = dataset.class_names
    return {
        "root": str(Path(dataset.root).absolute()) if dataset.origin != "tfds" else dataset.root,
        "origin": dataset.origin,
        "images": {part: _counts(dataset.part(part), names) for part in SPLITS if dataset.part(part)},
        "skipped": len(dataset.skipped),
        "remarks": list(dataset.remarks),
    }


def _counts(examples: Sequence[Example], names: tuple[str, ...]) -> dict[str, int]:
    counts = dict.fromkeys(names, 0)
    for example in examples:
        counts[names[example.label]] += 1
    return counts


def history_table(history: list[dict[str, Any]]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """History records as a header and rows."""
    header = tuple(dict.fromkeys(name for record in history for name in record))
    return header, [tuple(record.get(name, "") for name in header) for record in history]
