"""What a training writes: the history as a table, the images as a record."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.images.colour_covariance import measure_covariance
from pipelines.images.policies import POLICIES
from pipelines.runs.examples import Dataset, Example, Skipped, Split
from pipelines.runs.manifest import DataRecord
from pipelines.runs.training_records import EpochRecord, HeadTrial
from pipelines.system.files import write_csv
from pipelines.system.progress import PhaseTimer
from pipelines.training import execute
from pipelines.training.execute import describe_data, execute_plan, history_table
from pipelines.training.plan import TrainingPlan
from tests.pipelines.training.prepared import prepare


def example(label: int, split: Split) -> Example:
    return Example(path="/a", label=label, split=split, sha256="", source="/a")


def test_the_history_has_a_column_for_each_value_that_any_stage_measures(tmp_path: Path) -> None:
    head = EpochRecord(stage="head", epoch=1, loss=1.5, validation_loss=1.25, validation_accuracy=0.5)
    tuned = EpochRecord(
        stage="fine-tune", epoch=1, loss=1.0, accuracy=0.75, validation_loss=1.0, validation_accuracy=0.5, seconds=2.0
    )
    write_csv(tmp_path / "history.csv", *history_table([head, tuned]))
    with open(tmp_path / "history.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "stage", "epoch", "loss", "validation_loss", "validation_accuracy", "accuracy", "seconds"
    ]  # fmt: skip
    assert [row["stage"] for row in rows] == ["head", "fine-tune"]
    assert [(row["accuracy"], row["seconds"]) for row in rows] == [("", ""), ("0.75", "2.0")]


def test_a_training_without_epochs_has_a_header_alone() -> None:
    assert history_table([]) == (("stage", "epoch", "loss", "validation_loss", "validation_accuracy"), [])


def test_a_solved_head_has_a_row_for_each_penalty_before_the_epochs() -> None:
    trial = HeadTrial(
        number=0,
        l2=0.5,
        learning_rate=None,
        dropout=0.0,
        seed=0,
        best_epoch=None,
        validation_loss=0.25,
        validation_accuracy=0.75,
        training_loss=0.125,
        training_accuracy=1.0,
    )
    tuned = EpochRecord(stage="fine-tune", epoch=1, loss=1.0, validation_loss=2.0, validation_accuracy=0.5)
    header, rows = history_table([tuned], [replace(trial, number=1, l2=0.1), trial])
    first, second, last = (dict(zip(header, row, strict=True)) for row in rows)
    assert (first["stage"], first["epoch"], first["l2"], second["l2"]) == ("head", "", 0.5, 0.1)
    assert (first["loss"], first["accuracy"], first["validation_loss"]) == (0.125, 1.0, 0.25)
    assert (last["stage"], last["epoch"], last["l2"]) == ("fine-tune", 1, "")
    # A bank has its epochs instead.
    assert history_table([tuned], [replace(trial, best_epoch=3)])[1] == [("fine-tune", 1, 1.0, 2.0, 0.5)]


def test_images_are_counted_by_part_and_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = Dataset(
        root="photos",
        origin="folders",
        class_names=("cat", "dog"),
        examples=(example(0, "train"), example(1, "train"), example(0, "train"), example(1, "test")),
        skipped=(Skipped(path="/b", reason="cut short"),),
        remarks=("a remark",),
    )
    assert describe_data(dataset) == DataRecord(
        root=str(tmp_path / "photos"),
        origin="folders",
        images={"train": {"cat": 2, "dog": 1}, "test": {"cat": 0, "dog": 1}},
        skipped=1,
        remarks=("a remark",),
    )


def test_a_tensorflow_data_set_keeps_its_name() -> None:
    dataset = Dataset(root="tfds:mnist", origin="tfds", class_names=("0",), examples=())
    assert describe_data(dataset).root == "tfds:mnist"


def test_colours_are_shifted_by_the_covariance_of_the_training_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = prepare(tmp_path, per_class=2)
    plan = replace(plan, names=replace(plan.names, policy=POLICIES["alexnet"]))
    trained: list[TrainingPlan] = []

    def stop(plan: TrainingPlan) -> None:
        trained.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "_train_stages", stop)
    with pytest.raises(KeyboardInterrupt):
        execute_plan(plan, PhaseTimer())
    assert trained[0].names.policy.steps[-1].arguments["covariance"] == measure_covariance(plan.dataset.part("train"))
