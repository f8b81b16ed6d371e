"""Runs the stages of a training plan and completes its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.runs.examples import SPLITS, Dataset, Example
from pipelines.runs.folder import finish_run
from pipelines.runs.manifest import DataRecord, HeadRecord, Manifest, RunRequest
from pipelines.runs.models import save_model
from pipelines.system.files import write_csv
from pipelines.system.versions import versions
from pipelines.training.backbone_fit import fit_lines
from pipelines.training.options_without_effect import options_without_effect

if TYPE_CHECKING:
    from pipelines.runs.training_records import EpochRecord, HeadTrial
    from pipelines.system.progress import PhaseTimer
    from pipelines.training.plan import TrainingPlan, TrainingResult

# Of history.csv where no epoch was trained: the head was solved.
LEAST_COLUMNS = ("stage", "epoch", "loss", "validation_loss", "validation_accuracy")


def execute_plan(plan: TrainingPlan, timer: PhaseTimer) -> Manifest:
    """Train on images that are checked and divided, and complete the run in `plan.folder`."""
    # The backbone gets a new head, on features computed once or on fresh views of the pixels; then its blocks train.
    import keras

    from pipelines.images.colour_covariance import measured
    from pipelines.images.unchanged import naming_changed

    keras.utils.set_random_seed(plan.spec.fit.seed)
    with naming_changed(plan.dataset.examples):
        policy = measured(plan.names.policy, plan.dataset.part("train"))
        plan = replace(plan, names=replace(plan.names, policy=policy))
        result = _train_stages(plan)
    timer.end_phase("train")

    # The run is written: the model first, the manifest last.
    from pipelines.training.pictures import draw_augmentation, draw_training

    with plan.reporter.task("saving the run", None):
        save_model(result.model, plan.folder)
        draw_training(plan, result)
        if plan.draw is not None:
            draw_augmentation(plan)
        return complete_run(plan, result, timer)


def complete_run(plan: TrainingPlan, result: TrainingResult, timer: PhaseTimer) -> Manifest:
    """Score a trained model, and write everything of its run except the model and the curves."""
    from pipelines.evaluation.metrics import report
    from pipelines.evaluation.saved_predictions import save_predictions

    dataset, folder = plan.dataset, plan.folder
    write_csv(folder / "history.csv", *history_table(result.history, result.bank))
    judged = {part: dataset.part(part) for part in result.predictions}
    if result.judged is not None:
        judged["validation"] = result.judged
    predictions = dict(result.predictions)
    if result.out_of_fold is not None:
        predictions["train"], judged["train"] = result.out_of_fold.predictions, result.out_of_fold.examples
    save_predictions(folder, predictions, judged)
    metrics = {
        part: report(probabilities, labels, dataset.class_names)
        for part, (probabilities, labels) in result.predictions.items()
    }
    timer.end_phase("save")
    manifest = Manifest(
        class_names=dataset.class_names,
        image_size=int(result.model.input_shape[1]),
        backbone=result.backbone,
        head=HeadRecord(
            pooling=plan.spec.head.pooling,
            features=result.feature_layers,
            mirror=plan.spec.head.mirror,
            **asdict(plan.names.head),
        ),
        spec=RunRequest(train=plan.spec),
        data=describe_data(dataset),
        metrics=metrics,
        stages=tuple(result.stages),
        notes=(
            *options_without_effect(plan.spec, is_untrained=plan.names.source.is_untrained),
            *fit_lines(plan.spec.network, plan.names.source),
            *result.notes,
        ),
        seconds=dict(timer.seconds),
        versions=versions(),
        features=result.features,
        engine=result.engine,
        agreement=result.agreement,
        bank=result.bank,
        fit=plan.spec.network.image_fit,
        cross_validation=result.cross_validation,
    )
    finish_run(folder, manifest, draw=plan.draw)
    return manifest


def describe_data(dataset: Dataset) -> DataRecord:
    """The record of the images in run.json."""
    return DataRecord(
        root=dataset.root if dataset.origin == "tfds" else str(Path(dataset.root).absolute()),
        origin=dataset.origin,
        images={part: _count(dataset.part(part), dataset.class_names) for part in SPLITS if dataset.part(part)},
        skipped=len(dataset.skipped),
        remarks=dataset.remarks,
    )


def history_table(
    history: Sequence[EpochRecord], trials: Sequence[HeadTrial] = ()
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """The header and the rows of history.csv: one an epoch, and before them one a penalty of a head that is solved."""
    rows = [*_penalty_rows(trials), *(record.measured() for record in history)]
    header = tuple(dict.fromkeys(name for row in rows for name in row)) or LEAST_COLUMNS
    return header, [tuple(row.get(name, "") for name in header) for row in rows]


def _penalty_rows(trials: Sequence[HeadTrial]) -> list[dict[str, str | int | float]]:
    solved = sorted((trial for trial in trials if trial.best_epoch is None), key=lambda trial: trial.number)
    return [
        {
            "stage": "head",
            "epoch": "",
            "loss": "" if trial.training_loss is None else trial.training_loss,
            "accuracy": "" if trial.training_accuracy is None else trial.training_accuracy,
            "validation_loss": "" if trial.validation_loss is None else trial.validation_loss,
            "validation_accuracy": trial.validation_accuracy,
            "features": trial.features,
            "l2": trial.l2,
        }
        for trial in solved
    ]


def _train_stages(plan: TrainingPlan) -> TrainingResult:
    """Train the head and fine-tune the top blocks, or train everything from scratch."""
    if plan.names.source.is_untrained:
        from pipelines.training.from_scratch import train_from_scratch

        return train_from_scratch(plan)
    if plan.spec.data.cache:
        from pipelines.training.feature_stage import train_on_features

        result = train_on_features(plan)
    else:
        from pipelines.training.pixel_stage import train_head_on_pixels

        result = train_head_on_pixels(plan)
    if plan.spec.fine_tune.blocks is not None:
        from pipelines.training.fine_tune import fine_tune

        result = fine_tune(plan, result)
    return result


def _count(examples: Sequence[Example], class_names: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(example.label for example in examples)
    return {name: counts[label] for label, name in enumerate(class_names)}
