"""A choice of engine is remembered for this machine and its versions, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.records import EngineChoice, EngineReport
from pipelines.features import remembered_engines
from pipelines.features.remembered_engines import RememberedEngines, machine_key

REPORT = EngineReport(
    images_per_second={"keras/float32": 100.0, "tensorflow/float32": 150.0},
    relative_difference={"keras/float32": 0.0, "tensorflow/float32": 2e-7},
    build_seconds={"keras/float32": 1.0, "tensorflow/float32": 2.5},
    reasons=("not tried: the engine `openvino` is not installed",),
)
CHOICE = EngineChoice(engine="tensorflow", precision="float32", report=REPORT, num_images=1000, seconds_per_view=0.01)


@pytest.fixture
def memory(tmp_path: Path) -> RememberedEngines:
    """The memory of a base that nothing was chosen for."""
    return RememberedEngines(file=tmp_path / "base" / "chosen-engines.json")


def test_a_choice_is_read_as_it_was_written(memory: RememberedEngines) -> None:
    assert memory.read("auto", 10) == (None, "")
    assert memory.write("auto", CHOICE) == ""
    assert memory.read("auto", 10) == (CHOICE, "")
    assert memory.read("tensorflow", 10) == (None, "")
    assert [path.name for path in memory.file.parent.iterdir()] == [memory.file.name]


def test_choices_for_several_engines_stand_side_by_side(memory: RememberedEngines) -> None:
    plain = replace(CHOICE, engine="keras")
    memory.write("auto", CHOICE)
    memory.write("keras", plain)
    assert memory.read("auto", 10) == (CHOICE, "")
    assert memory.read("keras", 10) == (plain, "")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("processor_name", lambda: "another processor x 64"),
        ("has_bfloat16_units", lambda: "otherwise"),
        ("gpu_names", lambda: ("NVIDIA Something",)),
        ("installed_version", lambda package: "0.0.1"),
    ],
)
def test_a_choice_of_another_machine_or_version_is_not_taken_and_comes_back_there(
    monkeypatch: pytest.MonkeyPatch, memory: RememberedEngines, name: str, other: object
) -> None:
    here = machine_key()
    memory.write("auto", CHOICE)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(remembered_engines, name, other)
        assert machine_key() != here
        choice, reason = memory.read("auto", 10)
        assert choice is None
        assert "another machine, or with other versions" in reason
        memory.write("auto", replace(CHOICE, engine="keras"))
    assert memory.read("auto", 10) == (CHOICE, "")


@pytest.mark.parametrize(
    ("missing", "name"),
    [(replace(CHOICE, engine="warp drive"), "warp drive"), (replace(CHOICE, precision="float8"), "float8")],
)
def test_an_engine_that_is_unknown_or_missing_here_is_not_taken(
    memory: RememberedEngines, missing: EngineChoice, name: str
) -> None:
    memory.write("auto", missing)
    choice, reason = memory.read("auto", 10)
    assert choice is None
    assert name in reason


def test_a_choice_for_few_images_does_not_hold_for_many(memory: RememberedEngines) -> None:
    memory.write("auto", CHOICE)  # made for 1,000
    assert memory.read("auto", 2000) == (CHOICE, "")
    assert memory.read("auto", 2001) == (None, "")
    assert memory.read("auto", None) == (None, "")
    of_any_number = replace(CHOICE, num_images=None)
    memory.write("auto", of_any_number)
    assert memory.read("auto", None) == (of_any_number, "")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"a": 1',
        "\x00\xff",
        '{"0123": {"engine": "tensorflow", "precision": "float32"}}',
        '{"m": {"auto": 3}}',
    ],
)
def test_a_damaged_file_or_one_of_an_older_layout_is_written_anew(memory: RememberedEngines, content: str) -> None:
    memory.file.parent.mkdir()
    memory.file.write_text(content, encoding="latin-1")
    choice, reason = memory.read("auto", 10)
    assert choice is None
    assert f"`{memory.file}` cannot be read" in reason
    assert memory.write("auto", CHOICE) == ""
    assert memory.read("auto", 10) == (CHOICE, "")


def test_types_are_strict(memory: RememberedEngines) -> None:
    memory.write("auto", CHOICE)
    values = json.loads(memory.file.read_text())
    values[machine_key()]["auto"]["num_images"] = "1000"
    memory.file.write_text(json.dumps(values))
    choice, _ = memory.read("auto", 10)
    assert choice is None


def test_a_choice_that_cannot_be_written_gives_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not remembered" in RememberedEngines(file=tmp_path / "file" / "choices.json").write("auto", CHOICE)
