"""The command line as a whole: its commands and their help, its version, its exit codes and its variables."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import app.cli
from app.cli import COMMANDS, command_line
from models.errors import UserError
from tests.app.commands.conftest import Stub, stub
from tests.app.test_main import Headstart

__all__ = ["stub"]  # the fixture


def test_every_command_has_help_and_an_example() -> None:
    for name, command in command_line().commands.items():
        assert command.help and f"headstart {name}" in command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


def test_version_is_the_number_alone(headstart: Headstart) -> None:
    assert headstart("--version").out == "0.1.0\n"
    assert "keras 3.15" in headstart("-v", "--version").out


def test_verbose_adds_a_line_for_each_of_the_libraries_to_the_version(headstart: Headstart) -> None:
    lines = headstart("-v", "--version").out.splitlines()
    assert lines[0] == headstart("--version").out.strip()
    versions = dict(line.split() for line in lines[1:])
    assert set(versions) >= {"python", "keras", "tensorflow"} and "headstart" not in versions
    assert versions["python"] == ".".join(str(number) for number in sys.version_info[:3])


def test_the_version_is_printed_and_no_command_is_run(headstart: Headstart, stub: Stub) -> None:
    calls = stub("pipelines.train.train", UserError("not this time"))
    assert headstart("--version", "train", "photos", "--out", "run").code == 0
    assert calls == []


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("headstart back", ["backbones"]),
        ("headstart train --backbone convnext_t", ["convnext_tiny"]),
        ("headstart train -b mobilenet_v3_l", ["mobilenet_v3_large_0.75", "mobilenet_v3_large"]),
        ("headstart train --head m", ["mlp"]),
        ("headstart train --augment str", ["strong"]),
        ("headstart ensemble --method gr", ["greedy"]),
        ("headstart export --format saved", ["savedmodel"]),
        ("headstart predict --format js", ["jsonl"]),
        ("headstart evaluate --split va", ["validation"]),
    ],
)
def test_completion_knows_the_commands_and_the_names_of_tables(typed: str, completed: list[str]) -> None:
    asked = {"_HEADSTART_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    program = "import sys; sys.argv = ['headstart']; from app.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | asked, capture_output=True, text=True)
    assert done.stdout.split() == completed, done.stderr


def test_without_a_command_the_help_is_on_stderr(headstart: Headstart) -> None:
    result, page = headstart(), headstart("--help")
    assert (result.code, result.out, result.err) == (2, "", page.out)
    assert headstart("-h") == page


def test_the_help_lists_the_exit_codes_that_there_are(headstart: Headstart, monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[BaseException] = [
        *(UserError("no such folder"), UserError("the export differs", exit_code=3)),
        *(ZeroDivisionError("division by zero"), KeyboardInterrupt()),
    ]
    codes = {headstart("--version").code, headstart("nonsense").code}

    def fail() -> None:
        """Fail."""
        raise problems.pop()

    monkeypatch.setitem(app.cli.COMMANDS, "fail", fail)
    while problems:
        codes.add(headstart("fail").code)
    listed = headstart("--help").out.partition("Exit codes:")[2].partition("A variable")[0]
    assert {int(code) for code in re.findall(r"^ +(\d+) ", listed, re.MULTILINE)} == codes


def test_a_variable_sets_an_option_as_the_help_says_and_a_flag_wins(
    headstart: Headstart, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HEADSTART_TRAIN_BACKBONE sets `--backbone` of `train`" in " ".join(headstart("--help").out.split())
    calls = stub("pipelines.train.train", UserError("far enough"))
    monkeypatch.setenv("HEADSTART_TRAIN_BACKBONE", "vgg16")
    headstart("train", "photos", "--out", "run")
    headstart("train", "photos", "--out", "run", "--backbone", "alexnet")
    assert [call.values[0].network.backbone for call in calls] == ["vgg16", "alexnet"]


def test_an_entry_of_the_table_is_a_command_with_the_help_of_its_function(
    headstart: Headstart, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def greet(name: str) -> None:
        """Greet someone.

        headstart greet you
        headstart greet me
        """
        ran.append(name)

    monkeypatch.setitem(COMMANDS, "greet", greet)
    assert (headstart("greet", "you").code, ran) == (0, ["you"])
    assert list(command_line().commands) == list(COMMANDS) and list(COMMANDS)[-1] == "greet"
    assert "\n  Greet someone.\n\n  headstart greet you\n  headstart greet me\n" in headstart("greet", "--help").out
    assert re.search(r"^  greet +Greet someone\.$", headstart("--help").out, re.MULTILINE)
