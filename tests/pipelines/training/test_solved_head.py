"""Heads that are solved: chosen by cross-validation, fitted to all images, judged by images they were not fitted to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluate import evaluate
from pipelines.evaluation.metrics import losses
from pipelines.evaluation.saved_predictions import read_held_out, read_predictions
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.split_file import read_split
from pipelines.train import train
from tests.conftest import draw_folders
from tests.pipelines.new_heads import spec_on
from tests.specs import with_options

Draw = Callable[..., Path]


@pytest.fixture(scope="module")
def solved(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose head is solved."""
    folder = tmp_path_factory.mktemp("solved")
    draw_folders(folder / "data", {"": 20}, seed=31)
    train(with_options(spec_on(drawn, folder / "data", folder / "run"), epochs=None, validation="auto"))
    return folder / "run"


def test_folds_hold_out_every_image_and_the_final_head_is_fitted_to_all(solved: Path) -> None:
    manifest = read_manifest(solved)
    record, predictions = manifest.cross_validation, read_predictions(solved, "validation")
    assert record is not None
    assert predictions is not None
    examples = read_split(solved, manifest.class_names)
    known = [example for example in examples if example.split != "test"]
    assert record.fitted == record.held_out == len(known) == manifest.metrics["validation"].images
    assert sorted(predictions.sha256) == sorted(example.sha256.encode() for example in known)
    assert record.folds == 5
    assert set(record.out_of_fold_loss) == {"last", "levels"}
    chosen = min(record.out_of_fold_loss, key=lambda name: record.out_of_fold_loss[name])
    assert manifest.bank[0].features == chosen
    # The average of the best heads of both sets needs the features of the larger one.
    assert manifest.head.features == ("levels" if record.averaged else chosen)
    assert (record.averaged_loss is None) == (not record.averaged)
    assert json.loads((solved / "run.json").read_text())["stages"][0]["recipe"]["optimizer"] == "l-bfgs"
    assert any("look-alikes" in note for note in manifest.notes)
    assert (solved / "curves.png").stat().st_size > 1000
    assert (solved / "history.csv").read_text().startswith("stage,epoch")


def test_evaluation_finds_the_features_of_the_layers_that_were_chosen(solved: Path) -> None:
    manifest = read_manifest(solved)
    again = evaluate(str(solved), manifest.data.root)
    assert "cached features" in again.how
    assert again.report.log_loss == pytest.approx(manifest.metrics["test"].log_loss, abs=1e-6)
    exact = evaluate(str(solved), manifest.data.root, cache=False)
    assert exact.report.log_loss == pytest.approx(manifest.metrics["test"].log_loss, abs=0.02)


@pytest.mark.parametrize("options", [{"epochs": None}, {"epochs": 3, "heads": 2}], ids=["solved", "in steps"])
def test_test_images_change_nothing(
    drawn: Path, image_folder: Draw, tmp_path: Path, options: dict[str, object]
) -> None:
    runs = []
    for number, seed in enumerate((1, 2)):
        data = image_folder(f"tested-{number}", parts={"train": 8}, seed=50)
        image_folder(f"tested-{number}", parts={"test": 4}, seed=seed)
        manifest = train(spec_on(drawn, data, tmp_path / str(number), validation="auto", **options))
        assert manifest.cross_validation is not None
        runs.append(tmp_path / str(number))
    first, second = (load_run(run)[0].get_weights() for run in runs)
    assert all(np.array_equal(*weights) for weights in zip(first, second, strict=True))
    assert read_manifest(runs[0]).metrics["test"] != read_manifest(runs[1]).metrics["test"]


def test_a_part_that_is_held_out_stays_out_of_the_fit(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("held", parts={"train": 10, "validation": 6}, seed=41)
    spec = with_options(spec_on(drawn, data, tmp_path / "run"), epochs=None, validation="hold-out")
    manifest = train(spec)
    assert manifest.cross_validation is None
    assert manifest.metrics["validation"].images == 18
    # What judges is the model itself.
    exact = evaluate(str(tmp_path / "run"), str(data), split="validation")
    assert exact.report.log_loss == pytest.approx(manifest.metrics["validation"].log_loss, abs=1e-5)


def test_a_given_validation_part_judges_a_head_of_the_training_images(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("given", parts={"train": 10, "validation": 6}, seed=42)
    manifest = train(with_options(spec_on(drawn, data, tmp_path / "run"), epochs=None, validation="auto"))
    record = manifest.cross_validation
    assert record is not None
    assert (record.held_out, record.fitted, manifest.metrics["validation"].images) == (30, 48, 18)
    assert set(record.validation_loss) == set(record.out_of_fold_loss)
    # Predictions of all of them are kept, each by a head that was not fitted to the image; only the part has scores.
    held_out = read_held_out(tmp_path / "run")
    assert held_out is not None
    known = [example for example in read_split(tmp_path / "run", manifest.class_names) if example.split != "test"]
    assert sorted(held_out.sha256) == sorted(example.sha256.encode() for example in known)
    assert set(manifest.metrics) == {"validation"}
    loss = losses(held_out.probabilities, held_out.labels)[-30:].mean()
    assert loss == pytest.approx(record.out_of_fold_loss[manifest.head.features], rel=0.2, abs=0.02)


@pytest.mark.parametrize(
    "options", [{"epochs": 2}, {"learning_rate": 1e-2}, {"optimizer": "sgd"}, {"dropout": 0.2}, {"head": "mlp"}]
)
def test_a_head_in_steps_holds_the_validation_part_out(
    drawn: Path, image_folder: Draw, tmp_path: Path, options: dict[str, object]
) -> None:
    data = image_folder("steps", parts={"train": 6, "validation": 3}, seed=43)
    manifest = train(with_options(spec_on(drawn, data, tmp_path / "run"), **{"epochs": None, "heads": 2, **options}))
    assert manifest.cross_validation is None
    assert manifest.metrics["validation"].images == 9
    assert manifest.head.features == "last"
    assert manifest.bank[0].learning_rate is not None
