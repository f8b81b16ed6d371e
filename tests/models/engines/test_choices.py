"""A choice of engine is remembered for this machine and its versions, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines import choices
from models.engines.choices import machine_key, read_choice, write_choice
from models.engines.records import EngineChoice, EngineReport

REPORT = EngineReport(
    images_per_second={"keras/float32": 100.0, "tensorflow/float32": 150.0},
    relative_difference={"keras/float32": 0.0, "tensorflow/float32": 2e-7},
    build_seconds={"keras/float32": 1.0, "tensorflow/float32": 2.5},
    reasons=("not tried: the engine `openvino` is not installed",),
)
CHOICE = EngineChoice(engine="tensorflow", precision="float32", report=REPORT, num_images=1000, seconds_per_view=0.01)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "choices.json"
    assert read_choice(file, "auto", 10) is None
    assert write_choice(file, "auto", CHOICE) == ""
    assert read_choice(file, "auto", 10) == CHOICE
    assert read_choice(file, "tensorflow", 10) is None
    assert [path.name for path in file.parent.iterdir()] == ["choices.json"]


def test_choices_for_several_engines_stand_side_by_side(tmp_path: Path) -> None:
    plain = replace(CHOICE, engine="keras")
    write_choice(tmp_path / "choices.json", "auto", CHOICE)
    write_choice(tmp_path / "choices.json", "keras", plain)
    assert read_choice(tmp_path / "choices.json", "auto", 10) == CHOICE
    assert read_choice(tmp_path / "choices.json", "keras", 10) == plain


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("processor", lambda: "another processor x 64"),
        ("bfloat16_units", lambda: "otherwise"),
        ("graphics", lambda: ("NVIDIA Something",)),
        ("_version", lambda package: "0.0.1"),
    ],
)
def test_a_choice_of_another_machine_or_version_is_not_taken_and_comes_back_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, other: object
) -> None:
    file, here = tmp_path / "choices.json", machine_key()
    write_choice(file, "auto", CHOICE)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(choices, name, other)
        assert machine_key() != here
        assert read_choice(file, "auto", 10) is None
        write_choice(file, "auto", replace(CHOICE, engine="keras"))
    assert read_choice(file, "auto", 10) == CHOICE


def test_an_engine_that_is_unknown_or_missing_here_is_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "choices.json"
    for missing in (replace(CHOICE, engine="warp drive"), replace(CHOICE, precision="float8")):
        write_choice(file, "auto", missing)
        assert read_choice(file, "auto", 10) is None


def test_a_choice_for_few_images_does_not_hold_for_many(tmp_path: Path) -> None:
    file = tmp_path / "choices.json"
    write_choice(file, "auto", CHOICE)  # made for 1,000
    assert read_choice(file, "auto", 2000) == CHOICE
    assert read_choice(file, "auto", 2001) is None
    assert read_choice(file, "auto", None) is None
    write_choice(file, "auto", replace(CHOICE, num_images=None))
    assert read_choice(file, "auto", None) is not None


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
def test_a_damaged_file_or_one_of_an_older_layout_is_written_anew(tmp_path: Path, content: str) -> None:
    file = tmp_path / "choices.json"
    file.write_text(content, encoding="latin-1")
    assert read_choice(file, "auto", 10) is None
    assert write_choice(file, "auto", CHOICE) == ""
    assert read_choice(file, "auto", 10) == CHOICE


def test_types_are_strict(tmp_path: Path) -> None:
    file = tmp_path / "choices.json"
    write_choice(file, "auto", CHOICE)
    values = json.loads(file.read_text())
    values[machine_key()]["auto"]["num_images"] = "1000"
    file.write_text(json.dumps(values))
    assert read_choice(file, "auto", 10) is None


def test_a_choice_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not remembered" in write_choice(tmp_path / "file" / "choices.json", "auto", CHOICE)
