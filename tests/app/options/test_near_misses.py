"""An option that does not exist gets the one that is meant."""

from __future__ import annotations

import pytest

from app.cli import command_line
from app.options.near_misses import _ELSEWHERE
from tests.app.test_main import Headstart


@pytest.mark.parametrize(
    ("command", "typed", "meant"),
    [
        ("train", "--lr", "--learning-rate"),
        ("train", "--batch-size", "--batch"),
        ("train", "--imgsz", "--image-size"),
        ("train", "--image_size", "--image-size"),
        ("train", "--backbon", "--backbone"),
        ("train", "--finetune", "--fine-tune"),
        ("train", "--learn", "--learning-rate"),
        ("evaluate", "--part", "--split"),
        ("predict", "--topk", "--top-k"),
    ],
)
def test_the_right_option_is_named(headstart: Headstart, command: str, typed: str, meant: str) -> None:
    result = headstart(command, "a", "b", typed, "1")
    assert result.code == 2
    *_, error, hint = result.err.splitlines()
    assert error == f"error: unknown option: `{typed}`"
    assert hint.startswith(f"hint: did you mean `{meant}`")


def test_an_option_that_is_like_no_other_gets_no_hint(headstart: Headstart) -> None:
    assert headstart("train", "photos", "--xyzzy").err.endswith("error: unknown option: `--xyzzy`\n")


def test_what_other_tools_call_an_option_is_an_option_of_some_command() -> None:
    flags = {flag for command in command_line().commands.values() for option in command.params for flag in option.opts}
    assert set(_ELSEWHERE.values()) <= flags
