"""The first sign of a command: before anything slow is imported, on a terminal alone, erased by what follows."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest

from app.first_sign import ERASE, erase_first_sign, show_first_sign
from tests.app.test_console import on_terminal

# Each of them takes a tenth of a second or more to import on a slow machine.
SLOW = {"typer", "pydantic", "rich", "msgspec", "pipelines", "models", "numpy", "tensorflow"}
# Prints what is loaded where the first sign is written, and what the command writes after it.
SCRIPT = """
    import json, sys
    import app.__main__ as program
    import app.first_sign as first_sign

    show = first_sign.show_first_sign

    def show_and_list(arguments):
        show(arguments)
        first_sign.sys.stderr.write(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})) + "|")

    first_sign.show_first_sign = show_and_list
    sys.argv = ["headstart", *{arguments!r}]
    program.main()
"""


def written_by(*arguments: str, **environment: str) -> tuple[str, set[str], str]:
    """What stands before the list of modules, that list, and what follows."""
    first, _, rest = on_terminal(SCRIPT.format(arguments=list(arguments)), **environment).partition("[")
    modules, _, rest = rest.partition("]|")
    return first, set(json.loads(f"[{modules}]")), rest


@pytest.mark.parametrize("arguments", [("train", "/no/such/folder"), ("export", "/no/such/run", "--out", "x")])
def test_a_command_says_that_it_starts_before_anything_slow_is_imported(arguments: tuple[str, ...]) -> None:
    first, modules, rest = written_by(*arguments)
    assert first == f"{arguments[0]}: starting"
    assert not modules & SLOW
    assert rest.startswith(f"{ERASE}\033[31;1merror:")  # in its place
    assert rest.count("starting") == 0


class Live(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Live:
    """A terminal in place of stderr."""
    stream = Live()
    # pytest puts streams of its own in `sys` when the test begins, after this fixture
    monkeypatch.setattr("app.first_sign.sys", SimpleNamespace(stderr=stream))
    monkeypatch.setenv("TERM", "xterm")
    for name in ("HEADSTART_QUIET", "_HEADSTART_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    return stream


@pytest.mark.parametrize(
    "command", ["train", "predict", "evaluate", "export", "ensemble", "report", "compare", "explain"]
)
def test_every_command_that_takes_long_has_a_first_sign_that_is_erased_once(command: str, stderr: Live) -> None:
    show_first_sign([command, "RUN"])
    assert stderr.getvalue() == f"{command}: starting"
    erase_first_sign()
    erase_first_sign()
    assert stderr.getvalue() == f"{command}: starting{ERASE}"


@pytest.mark.parametrize(
    "arguments", [(), ("cache",), ("--help",), ("train", "--help"), ("predict", "-h"), ("train", "x", "-q")]
)
def test_help_quiet_and_short_commands_have_no_first_sign(arguments: tuple[str, ...], stderr: Live) -> None:
    show_first_sign(arguments)
    erase_first_sign()
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(("variable", "value"), [("HEADSTART_QUIET", "1"), ("TERM", "dumb")])
def test_a_variable_that_asks_for_quiet_and_a_plain_terminal_are_heeded(
    variable: str, value: str, stderr: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    show_first_sign(["train", "photos"])
    assert stderr.getvalue() == ""


def test_wrong_usage_stands_on_a_line_of_its_own() -> None:
    assert written_by("train", "/none", "--nonsense")[2].startswith(f"{ERASE}Usage: headstart train")
