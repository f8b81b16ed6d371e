"""Which images an evaluation is about, by the statement of `--split`, and what it is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.evaluate import evaluate
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.evaluation.selection import select_examples
from pipelines.runs.examples import Dataset, Example, Part, Split
from pipelines.system.files import write_csv
from pipelines.train import train
from tests.conftest import Result
from tests.pipelines.new_heads import spec_on
from tests.pipelines.test_ensemble import COLOURS, make_run, pictures

Draw = Callable[..., Path]
__all__ = ["pictures"]  # the fixture


def dataset(*parts: Split) -> Dataset:
    """Images 0, 1, 2 ... of these parts."""
    examples = tuple(
        Example(path=f"/{number}", label=0, split=part, sha256=str(number), source=f"/{number}")
        for number, part in enumerate(parts)
    )
    return Dataset(root="/", origin="split folders", class_names=("cat",), examples=examples)


def training_images(pictures: Path) -> Path:
    """A CSV that calls every picture a training image."""
    rows = [(str(path), path.parent.name, "train") for path in sorted(pictures.rglob("*.png"))]
    write_csv(pictures.parent / "training.csv", ("path", "label", "split"), rows)
    return pictures.parent / "training.csv"


def numbers(examples: tuple[Example, ...]) -> list[int]:
    return [int(example.sha256) for example in examples]


@pytest.mark.parametrize(
    ("parts", "split", "selected", "part"),
    [
        (("train", "validation", "test"), "auto", [2], "test"),
        (("train", "validation", "validation"), "auto", [1, 2], "validation"),
        (("train", "train"), "auto", [0, 1], "all"),
        (("train", "test"), "auto", [1], "test"),
        (("train", "validation", "test"), "all", [0, 1, 2], "all"),
        (("train", "validation", "test"), "train", [0], "train"),
        (("train", "test"), "validation", [], "validation"),
    ],
)
def test_divided_data_has_its_own_parts(parts: tuple[Split, ...], split: Part, selected: list[int], part: str) -> None:
    selection = select_examples(dataset(*parts), {}, is_divided=True, split=split)
    assert (numbers(tuple(selection.examples)), selection.part) == (selected, part)


@pytest.mark.parametrize(
    ("split", "selected", "part"),
    [
        ("auto", [2, 3], "test"),
        ("all", [0, 1, 2, 3], "all"),
        ("train", [0], "train"),
        ("validation", [1], "validation"),
        ("test", [2, 3], "test"),
    ],
)
def test_images_of_undivided_data_belong_to_their_part_of_the_run(split: Part, selected: list[int], part: str) -> None:
    run_parts: dict[str, Split] = {"0": "train", "1": "validation", "2": "test"}  # the run never saw image 3
    selection = select_examples(dataset("test", "test", "test", "test"), run_parts, is_divided=False, split=split)
    assert (numbers(tuple(selection.examples)), selection.part) == (selected, part)


def test_undivided_data_that_the_run_never_saw_is_evaluated_whole() -> None:
    selection = select_examples(dataset("test", "test"), {}, is_divided=False, split="auto")
    assert (len(selection.examples), selection.part, selection.remarks) == (2, "all", ())


def test_images_left_out_and_images_of_the_training_are_remarked() -> None:
    run_parts: dict[str, Split] = {"0": "train", "1": "validation"}
    images = dataset("test", "test", "test")
    (remark,) = select_examples(images, run_parts, is_divided=False, split="auto").remarks
    assert remark.startswith("2 images that the run was trained or chosen on are left out")
    (remark,) = select_examples(images, run_parts, is_divided=False, split="all").remarks
    assert remark.startswith("2 of 3 images took part in the run's training")


def test_data_with_training_images_alone_is_not_called_validation(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    evaluation = evaluate(str(run), str(training_images(pictures)))
    assert (evaluation.part, evaluation.report.images) == ("all", 48)
    assert evaluation.to_json()["part"] == "all"


def test_a_part_without_images_is_an_error(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    with pytest.raises(UserError, match="has no images in the part `validation`"):
        evaluate(str(run), str(training_images(pictures)), split="validation")


def test_pictures_go_where_they_are_asked_for_and_never_among_the_images(pictures: Path, tmp_path: Path) -> None:
    run = str(make_run(tmp_path / "run", pictures, tuple(COLOURS)))
    before = sorted(pictures.rglob("*"))
    for place, words in (
        (pictures / "drawn", "inside the images"),
        (tmp_path / "no" / "such", "no place for a folder"),
    ):
        with pytest.raises(UserError, match=words):
            evaluate(run, str(pictures), split="all", out=str(place))
    assert sorted(pictures.rglob("*")) == before and not (tmp_path / "no").exists()
    evaluate(run, str(pictures), split="all", out=str(tmp_path / "drawn"))
    names = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert {"confusion.png", "classes.png"} <= names <= {"confusion.png", "classes.png", "mistakes.png"}


def test_the_command_prints_scores_part_and_the_gain_of_views(
    pictures: Path, tmp_path: Path, headstart: Callable[..., Result]
) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    printed = headstart("evaluate", run, pictures, "--json", "--tta", "flip")
    assert printed.code == 0
    values = json.loads(printed.out)
    assert (values["part"], values["skipped"], values["how"]) == (
        "test",
        0,
        "the saved model, float32, mean of 2 views",
    )
    assert {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"} <= values.keys()
    assert values["tta"].keys() == {
        "tta",
        "views",
        "accuracy",
        "difference",
        "log_loss",
        "log_loss_difference",
        "time",
    }
    for difference in (values["tta"]["difference"], values["tta"]["log_loss_difference"]):
        low, high = difference["interval"]
        assert low <= difference["value"] <= high


def test_evaluating_the_data_of_the_training_leaves_out_what_the_run_was_trained_on(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("judged", per_class=30, seed=14)
    manifest = train(spec_on(drawn, data, tmp_path / "run"))
    evaluation = evaluate(str(tmp_path / "run"), str(data))
    assert evaluation.part == "test"
    assert evaluation.report == manifest.metrics["test"]
    assert "left out" in evaluation.remarks[0]
    everything = evaluate(str(tmp_path / "run"), str(data), split="all")
    assert everything.report.images == 90
    assert "too good" in everything.remarks[0]
    # The saved model predicts on pixels what it predicts on cached features.
    exact = evaluate(str(tmp_path / "run"), str(data), cache=False)
    assert exact.report.accuracy == pytest.approx(evaluation.report.accuracy, abs=0.15)
    assert exact.report.log_loss == pytest.approx(evaluation.report.log_loss, abs=0.02)


def test_classes_are_matched_by_name_whatever_their_order(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("named", per_class=30, seed=15)
    train(spec_on(drawn, data, tmp_path / "run"))
    part = image_folder("part", classes=("circle", "square", "triangle"), per_class=10, seed=16)
    whole = evaluate(str(tmp_path / "run"), str(part)).report
    shutil.rmtree(part / "circle")  # now `square` would be number 0 if the folder were listed again
    some = evaluate(str(tmp_path / "run"), str(part)).report
    assert some.images == 20
    assert some.confusion_matrix is not None and whole.confusion_matrix is not None
    assert some.confusion_matrix[1:] == whole.confusion_matrix[1:]
    (part / "square").rename(part / "rhombus")
    with pytest.raises(UserError, match="rhombus") as caught:
        evaluate(str(tmp_path / "run"), str(part))
    assert "circle" in caught.value.message + caught.value.hint


def test_coverage_is_measured_where_it_is_asked_for(
    pictures: Path, tmp_path: Path, headstart: Callable[..., Result]
) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    printed = headstart("evaluate", run, pictures, "--json", "--coverage", "0.5", "--split", "all")
    assert (printed.code, printed.out) == (1, "") and "has no predictions to make sets by" in printed.err
    half = np.full((20, len(COLOURS)), 1 / len(COLOURS), np.float32)
    images = [Example(path="", label=0, split="validation", sha256=f"{n:064x}", source="") for n in range(20)]
    save_predictions(run, {"validation": (half, np.zeros(20, np.int32))}, {"validation": images})
    printed = headstart("evaluate", run, pictures, "--json", "--coverage", "0.5", "--split", "all")
    coverage = json.loads(printed.out)["coverage"]
    assert coverage["rule"]["coverage"] == 0.5 and coverage["mean_size"] >= 1
    assert [score["name"] for score in coverage["classes"]] == list(COLOURS)
    page = headstart("evaluate", run, pictures, "--coverage", "0.5", "--split", "all").out
    assert "sets for a coverage of 0.5: " in page and "mean size" in page
    assert json.loads(headstart("evaluate", run, pictures, "--json").out)["coverage"] is None
    refused = headstart("evaluate", run, pictures, "--coverage", "0.5", "--tta", "flip")
    assert (refused.code, refused.out) == (1, "") and "not averaged over views" in refused.err
