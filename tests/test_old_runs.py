"""Whole runs that headstart 0.1.0 wrote before schema 2: each command predicts what it predicted then."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from pipelines.train import train
from tests.conftest import Result
from tests.pipelines.reporters import Notes
from tests.specs import train_spec

OLD = Path(__file__).parent / "pipelines" / "runs" / "schema_1"
RUNS = ("head", "members", "joined")
Command = Callable[..., Result]


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `runs`, whole runs, and `data`, the pictures that were predicted then; commands run in it."""
    shutil.copytree(OLD / "runs", tmp_path / "runs")
    shutil.copytree(OLD / "pictures", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected_rows(run: str) -> list[dict[str, Any]]:  # plain data
    return [json.loads(line) for line in (OLD / "runs" / run / "expected.jsonl").read_text().splitlines()]


def probabilities_of(row: dict[str, Any]) -> dict[str, float]:  # plain data
    """The probability of each class that a row names, by class."""
    return {entry["label"]: entry["probability"] for entry in row["top_k"]}


@pytest.mark.parametrize("run", RUNS)
def test_an_old_run_predicts_what_it_predicted(run: str, old: Path, headstart: Command) -> None:
    options = () if run == "head" else ("--members",)
    result = headstart("predict", f"runs/{run}", "data", "--format", "jsonl", *options)
    assert result.code == 0, result.err
    rows, expected = [json.loads(line) for line in result.out.splitlines()], expected_rows(run)
    assert len(rows) == len(expected) == 6
    for row, before in zip(rows, expected, strict=True):
        assert (row["path"], row["status"], row["label"]) == (before["path"], before["status"], before["label"])
        assert probabilities_of(row) == pytest.approx(probabilities_of(before), abs=1e-5)
        assert row["entropy"] == pytest.approx(before["entropy"], abs=1e-5)
        assert row["agreement"] == before["agreement"]
        assert len(row["members"]) == len(before["members"])
        for member, other in zip(row["members"], before["members"], strict=True):
            assert (member["member"], member["label"]) == (other["member"], other["label"])
            assert member["probability"] == pytest.approx(other["probability"], abs=1e-5)


@pytest.mark.parametrize("run", RUNS)
def test_an_old_run_is_evaluated_as_it_was(run: str, old: Path, headstart: Command) -> None:
    result = headstart("evaluate", f"runs/{run}", "data", "--json", "--split", "all")
    assert result.code == 0, result.err
    scores, expected = json.loads(result.out), json.loads((OLD / "runs" / run / "expected.json").read_text())
    assert scores["images"] == expected["images"] == 6
    assert scores["confusion_matrix"] == expected["confusion_matrix"]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-4), name


def test_old_runs_are_compared(old: Path, headstart: Command) -> None:
    result = headstart("compare", "runs/head", "runs/members", "runs/joined", "--json")
    assert result.code == 0, result.err
    text = json.dumps(json.loads(result.out))
    for run in RUNS:
        accuracy = json.loads((OLD / "runs" / run / "run.json").read_text())["metrics"]["test"]["accuracy"]
        assert f"runs/{run}" in text
        assert str(accuracy) in text


def test_an_old_run_is_exported(old: Path, headstart: Command) -> None:
    # The check of an export reads images of the run: those that are still there lie elsewhere.
    places = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in (old / "data").rglob("*.png")}
    with open("runs/members/split.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["sha256"] in places]
    with open("runs/members/split.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows({**row, "path": places[row["sha256"]]} for row in rows)
    result = headstart("export", "runs/members", "--out", "exported", "--format", "keras")
    assert result.code == 0, result.err
    assert result.out.splitlines() == ["exported/model.keras"]
    model = keras.models.load_model("exported/model.keras")
    names = json.loads((OLD / "runs" / "members" / "run.json").read_text())["class_names"]
    for row in expected_rows("members"):
        pixels = np.asarray(Image.open(row["path"]).convert("RGB"), np.float32)[None]
        (probabilities,) = np.asarray(model(pixels))
        assert dict(zip(names, probabilities.tolist(), strict=True)) == pytest.approx(probabilities_of(row), abs=1e-5)


@pytest.mark.slow
def test_a_training_that_schema_1_began_ends_as_it_would_have_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD / "interrupted", tmp_path / "run")
    shutil.copytree(OLD / "pictures", tmp_path / "pictures")
    shutil.move(tmp_path / "run" / "labels.csv", tmp_path)
    (tmp_path / "run" / "history.csv").unlink()
    notes = Notes()
    spec = train_spec(
        data="labels.csv", out="run", backbone="lenet5", weights="none", layerwise=True, epochs=8, batch=2, seed=3
    )
    train(spec, reporter=notes)
    assert "resuming the interrupted training" in notes.lines
    with open(tmp_path / "run" / "history.csv", newline="") as stream:
        history = list(csv.DictReader(stream))
    with open(OLD / "interrupted" / "history.csv", newline="") as stream:
        unbroken = list(csv.DictReader(stream))
    assert len(history) == len(unbroken) == 16
    for epoch, before in zip(history, unbroken, strict=True):
        assert (epoch["stage"], epoch["epoch"]) == (before["stage"], before["epoch"])
        for name in ("loss", "validation_loss", "learning_rate"):
            assert float(epoch[name]) == pytest.approx(float(before[name]), rel=1e-4), epoch
    # The first block is not trained again: its epochs took the time that they took then.
    with np.load(OLD / "interrupted" / "state" / "layer-wise-block1.npz") as checkpoint:
        progress = json.loads(checkpoint["progress"].tobytes())
    assert [float(epoch["seconds"]) for epoch in history[:2]] == [epoch["seconds"] for epoch in progress["history"]]
