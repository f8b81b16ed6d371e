"""Every number on the command line has bounds: what run.json, Keras or NumPy cannot hold is wrong usage, not a bug."""

from __future__ import annotations

import pytest
from typer.core import TyperOption

from app.cli import command_line
from tests.app.test_main import Headstart

ARGUMENTS = {
    "train": ("photos", "--out", "run"),
    "ensemble": ("one", "two", "--out", "run"),
    "evaluate": ("run", "photos"),
    "predict": ("run", "photos"),
    "backbones": (),
    "preview": ("photos", "--out", "preview.png"),
}
TOO_LARGE = {float: ("inf", "nan", "1e300"), int: (str(10**30), "inf")}
CASES = [
    (name, option.opts[0], value)
    for name, command in command_line().commands.items()
    for option in command.params
    if isinstance(option, TyperOption) and option.type_descriptor.annotation in TOO_LARGE
    for value in TOO_LARGE[option.type_descriptor.annotation]
]


@pytest.mark.parametrize(("command", "option", "value"), CASES)
def test_a_number_that_nothing_can_hold_is_wrong_usage(
    command: str, option: str, value: str, headstart: Headstart
) -> None:
    result = headstart(command, *ARGUMENTS[command], option, value)
    assert (result.code, result.out) == (2, "")
    assert option in result.err
