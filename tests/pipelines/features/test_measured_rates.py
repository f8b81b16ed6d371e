"""How fast this machine is with a backbone is what trials of engines here measured, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.records import EngineChoice, EngineReport
from pipelines.features import remembered_engines
from pipelines.features.measured_rates import list_measured_rates
from pipelines.features.remembered_engines import CHOICES_FILE, RememberedEngines

RATES = {"keras/float32": 100.0, "openvino/float32": 150.0, "openvino/bfloat16": 400.0}
CHOICE = EngineChoice(
    engine="openvino",
    precision="float32",
    report=EngineReport(images_per_second=RATES, relative_difference={}, build_seconds={}),
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path


def measure(cache: Path, name: str, choice: EngineChoice, **base: object) -> Path:
    folder = cache / "features" / name
    RememberedEngines(file=folder / CHOICES_FILE).write("auto", choice)
    (folder / "base.json").write_text(json.dumps({"backbone": "vgg16", "image_size": 224, "pooling": "avg", **base}))
    return folder


def test_the_rate_is_that_of_the_chosen_engine_and_the_best_of_several_bases(cache: Path) -> None:
    assert list_measured_rates() == {}
    measure(cache, "a" * 16, CHOICE)
    # 400 images/s in bfloat16 were measured, but not taken.
    assert list_measured_rates() == {("vgg16", 224): 150.0}
    measure(cache, "b" * 16, replace(CHOICE, engine="keras"), image_size=96)
    measure(cache, "c" * 16, replace(CHOICE, engine="keras"), features="levels")
    assert list_measured_rates() == {("vgg16", 224): 150.0, ("vgg16", 96): 100.0}


def test_other_machines_and_damaged_files_do_not_count(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = measure(cache, "a" * 16, CHOICE)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(remembered_engines, "processor_name", lambda: "another processor")
        assert list_measured_rates() == {}
    (folder / "base.json").write_text("{")
    assert list_measured_rates() == {}
    (folder / "base.json").unlink()
    (folder / CHOICES_FILE).write_text("{")
    assert list_measured_rates() == {}
