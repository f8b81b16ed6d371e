"""What a user types, in order, and what comes out: the commands, not the functions behind them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Drawn pictures and a run trained on them by the command line."""
    from app.__main__ import run as run_command
    from tests.conftest import draw

    folder = tmp_path_factory.mktemp("end-to-end")
    rng = np.random.default_rng(2)
    for index, name in enumerate(("circle", "square", "triangle")):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(40):
            draw(index, 32, rng).save(folder / "data" / name / f"{number}.png")
    (folder / "data" / "square" / "notes.jpg").write_text("not a picture")
    options = ("--backbone", "small_cnn", "--weights", "none", "--epochs", "8", "--learning-rate", "0.003")
    assert run_command(["train", str(folder / "data"), "--out", str(folder / "run"), *options]) == 0
    return folder / "data", folder / "run"


def test_evaluate_prints_what_the_run_kept(run: tuple[Path, Path], headstart: Command) -> None:
    data, folder = run
    evaluated = headstart("evaluate", folder, data, "--json")
    assert evaluated.code == 0, evaluated.err
    values, kept = json.loads(evaluated.out), json.loads((folder / "run.json").read_text())["metrics"]["test"]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"):
        assert values[name] == pytest.approx(kept[name], abs=1e-6)
    assert values["part"] == "test"
    table = headstart("evaluate", folder, data)
    assert f"{values['accuracy']:.3f}" in table.out
    assert max(map(len, table.out.splitlines())) <= 80


def test_predict_answers_every_input_in_order(run: tuple[Path, Path], headstart: Command, tmp_path: Path) -> None:
    data, folder = run
    inputs = [
        data / "triangle" / "1.png",
        data / "square" / "notes.jpg",
        tmp_path / "gone.png",
        data / "circle" / "2.png",
    ]
    predicted = headstart("predict", folder, *inputs, "--format", "csv", "--top-k", 2)
    assert predicted.code == 1
    rows = list(csv.DictReader(io.StringIO(predicted.out)))
    assert [row["path"] for row in rows] == [str(path) for path in inputs]
    assert [row["status"] for row in rows] == ["ok", "unreadable", "unreadable", "ok"]
    assert [row["top_k"].count("; ") + bool(row["top_k"]) for row in rows] == [2, 0, 0, 2]
    assert "2 of 4 inputs are unreadable" in predicted.err
    lines = headstart("predict", folder, data / "circle", "--format", "jsonl").out.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [Path(answer["path"]).name for answer in answers[:3]] == ["0.png", "1.png", "2.png"]
    assert sum(answer["label"] == "circle" for answer in answers) > 24
    assert all(answer["probability"] == answer["top_k"][0]["probability"] for answer in answers)


def test_many_pictures_are_answered_as_few_are(
    run: tuple[Path, Path], headstart: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = run
    few = headstart("predict", folder, data / "circle", "--format", "jsonl")
    monkeypatch.setattr("pipelines.predict.MANY", 3)
    many = headstart("predict", folder, data / "circle", "--format", "jsonl")
    assert "plain Keras" not in many.err
    rows = [[json.loads(line) for line in predicted.out.splitlines()] for predicted in (few, many)]
    assert len(rows[0]) > 3
    for one, other in zip(*rows, strict=True):
        assert (one["path"], one["label"]) == (other["path"], other["label"])
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_a_photo_turned_by_its_exif_is_predicted_as_the_upright_one(
    run: tuple[Path, Path], headstart: Command, tmp_path: Path
) -> None:
    data, folder = run
    upright = Image.open(data / "triangle" / "3.png").convert("RGB")
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter to the right
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    predicted = headstart("predict", folder, tmp_path / "upright.png", tmp_path / "turned.png", "--format", "jsonl")
    one, other = (json.loads(line)["top_k"] for line in predicted.out.splitlines())
    assert [score["label"] for score in one] == [score["label"] for score in other]
    # Two places of a batch are rounded differently.
    assert [score["probability"] for score in one] == pytest.approx(
        [score["probability"] for score in other], rel=1e-5, abs=1e-7
    )


def test_the_export_answers_alike_where_headstart_is_not(
    run: tuple[Path, Path], headstart: Command, tmp_path: Path
) -> None:
    data, folder = run
    done = headstart("export", folder, "--out", tmp_path / "exported", "--format", "savedmodel", "--format", "keras")
    assert done.code == 0, done.err
    assert [Path(line) for line in done.out.splitlines()] == [
        tmp_path / "exported" / "1",
        tmp_path / "exported" / "model.keras",
    ]
    pictures = sorted((data / "square").glob("*.png"))[:5]
    script = """
import json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
contents = [open(path, "rb").read() for path in sys.argv[2:]]
answers = model.signatures["serving_default"](image_bytes=tf.constant(contents))
print(json.dumps({name: value.numpy().tolist() for name, value in answers.items() if name != "class"}))
"""
    out = subprocess.run(
        [sys.executable, "-P", "-c", script, str(tmp_path / "exported" / "1"), *map(str, pictures)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    ).stdout
    served = json.loads(out.splitlines()[-1])
    names = json.loads((folder / "run.json").read_text())["class_names"]
    lines = headstart("predict", folder, *pictures, "--format", "jsonl").out.splitlines()
    for answer, number, probabilities in zip(
        map(json.loads, lines), served["class_id"], served["probabilities"], strict=True
    ):
        assert answer["label"] == names[number]
        assert answer["probability"] == pytest.approx(max(probabilities), abs=1e-4)


def test_unknown_classes_are_an_error_that_shows_both_lists(
    run: tuple[Path, Path], headstart: Command, tmp_path: Path
) -> None:
    data, folder = run
    shutil.copytree(data, tmp_path / "other")
    (tmp_path / "other" / "circle").rename(tmp_path / "other" / "ellipse")
    evaluated = headstart("evaluate", folder, tmp_path / "other")
    assert (evaluated.code, evaluated.out) == (1, "")
    error, hint = evaluated.err.splitlines()[-2:]
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    for name in ("ellipse", "circle", "square", "triangle"):
        assert name in error + hint


def test_the_same_command_twice_is_refused_and_force_replaces(
    run: tuple[Path, Path], headstart: Command, tmp_path: Path
) -> None:
    data, folder = run
    shutil.copytree(folder, tmp_path / "run")
    command = ("train", data, "--backbone", folder, "--out", tmp_path / "run", "--heads", 1, "--epochs", 2)
    refused = headstart(*command)
    assert refused.code == 1
    assert "--force" in refused.err
    replaced = headstart(*command, "--force")
    assert replaced.code == 0, replaced.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["spec"]["train"]["head"]["heads"] == 1


def test_the_demo_shows_everything_once(headstart: Command, tmp_path: Path) -> None:
    demo = headstart("demo", "--out", tmp_path / "demo")
    assert demo.code == 0, demo.err
    for words in ("head on frozen base", "all from scratch", "Prediction for an image of a delta", "savedmodel"):
        assert words in demo.out
    folder = tmp_path / "demo"
    compared = json.loads(
        headstart("compare", folder / "runs/greek-from-scratch", folder / "runs/greek", "--no-speed", "--json").out
    )
    assert [run["part"] for run in compared] == ["test", "test"]
    assert [run["images"] for run in compared] == [600, 600]
    # A head start is worth something where images are few: the whole interval is above zero.
    assert compared[1]["accuracy_difference"]["interval"][0] > 0
    assert compared[1]["accuracy_interval"][0] > compared[0]["accuracy_interval"][1]
    transfer = json.loads((folder / "runs" / "greek" / "run.json").read_text())
    assert sum(transfer["data"]["images"]["train"].values()) == 70
    with Image.open(folder / "demo.png") as picture:
        assert min(picture.size) > 500
    assert (folder / "exported" / "1" / "saved_model.pb").is_file()
    again = headstart("demo", "--out", tmp_path / "demo")
    assert again.code == 1
    assert "--force" in again.err
