"""`--json` prints one line of ASCII for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipelines.train
from app.console import Terminal
from app.pages.as_json import print_json, print_run
from pipelines.export import Exported
from pipelines.preview import Preview
from pipelines.runs.read_manifest import write_manifest
from tests.app.commands.conftest import Stub, stub
from tests.app.pages.test_training_end import counts
from tests.app.test_main import Headstart
from tests.pipelines.manifests import manifest_with, stage_with

__all__ = ["stub"]  # the fixture


def test_data_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(Terminal(), {"name": "dög\udcff"})
    out = capsys.readouterr().out
    assert out.isascii() and out.count("\n") == 1 and json.loads(out) == {"name": "dög\udcff"}


def test_a_run_is_its_record_and_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    write_manifest(tmp_path / "run", manifest_with(metrics={"test": counts(3, 4)}))
    print_run(Terminal(), str(tmp_path / "run"))
    record = json.loads(capsys.readouterr().out)
    assert (record["run"], record["metrics"]["test"]["images"]) == (str(tmp_path / "run"), 7)


def test_train_prints_the_record_on_stdout_and_the_page_on_stderr(
    headstart: Headstart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_with(metrics={"validation": counts(20, 20)}, stages=(stage_with(),))

    def train(*_: object, **__: object) -> object:
        (tmp_path / "run").mkdir()
        write_manifest(tmp_path / "run", manifest)
        return manifest

    monkeypatch.setattr(pipelines.train, "train", train)
    result = headstart("train", "photos", "--out", tmp_path / "run", "--no-report", "--json")
    assert json.loads(result.out)["metrics"]["validation"]["images"] == 40
    assert "each class, validation:" in result.err and f"next: headstart predict {tmp_path}/run IMAGE" in result.err


def test_export_and_preview_print_what_they_wrote(
    headstart: Headstart, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.runs.read_manifest.read_manifest", lambda run: manifest_with())
    exported = Exported(
        format="savedmodel",
        path=Path("out/1"),
        images=3,
        max_difference=0.0,
        top1_agreement=1.0,
        bytes=1_000,
        seconds=2.0,
        signatures=("serving_default",),
    )
    stub("pipelines.export.export", (exported,))
    (record,) = json.loads(headstart("export", tmp_path / "run", "--out", "out", "--json").out)
    assert (record["path"], record["signatures"], record["bytes"]) == ("out/1", ["serving_default"], 1_000)
    stub("pipelines.preview.preview", Preview(path=Path("grid.png"), rows=4, classes=2))
    result = headstart("preview", "photos", "--out", "grid.png", "--json")
    assert json.loads(result.out) == {"path": "grid.png", "rows": 4, "classes": 2}
