"""A panel turns the fields of a record into options, and options into the record."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from app.options.panels import Panel, with_panels


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    name: str
    speed: float = 0.5
    is_steady: bool = False


PACE = Panel(
    record=Pace,
    options={
        "speed": Annotated[float, typer.Option("--speed", min=0.0)],
        "is_steady": Annotated[bool, typer.Option("--steady")],
    },
)


def run(*words: str) -> tuple[int, list[Pace]]:
    """The exit code of a command with the panel, and the records that it made."""
    made: list[Pace] = []
    command_line = typer.Typer()

    @command_line.command()
    @with_panels(pace=PACE)
    def walk(
        name: Annotated[str, typer.Argument()],
        *,
        far: Annotated[bool, typer.Option("--far")] = False,
        pace: Callable[..., Pace],
    ) -> None:
        made.append(pace(name=f"{name} far" if far else name))

    return CliRunner().invoke(command_line, list(words)).exit_code, made


def test_options_fill_the_record_and_the_command_its_other_fields() -> None:
    assert run("dog") == (0, [Pace(name="dog")])
    assert run("dog", "--steady", "--far", "--speed", "2") == (0, [Pace(name="dog far", speed=2.0, is_steady=True)])


def test_an_option_keeps_its_range() -> None:
    assert run("dog", "--speed", "-1") == (2, [])


def test_the_options_stand_where_the_panel_stood_with_the_defaults_of_the_record() -> None:
    @with_panels(pace=PACE)
    def walk(first: int, *, pace: Callable[..., Pace], last: int = 3) -> None:
        """Walk."""

    parameters = inspect.signature(walk).parameters
    assert list(parameters) == ["first", "speed", "is_steady", "last"]
    assert (parameters["speed"].default, parameters["is_steady"].default) == (0.5, False)
    assert walk.__annotations__["speed"] == PACE.options["speed"]
    assert walk.__doc__ == "Walk."


def test_an_option_without_a_default_is_a_bug() -> None:
    panel = Panel(record=Pace, options={"name": Annotated[str, typer.Option("--name")]})
    with pytest.raises(AssertionError, match="Pace has no default for \\['name'\\]"):
        panel.defaults()
