"""`headstart export`: paths to stdout, the comparison to stderr, and a check of the run before anything heavy."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli import command_line
from app.commands.export import DEFAULT_FORMAT
from models.errors import UserError
from models.export import EXPORTERS
from tests.app.commands.conftest import Call, Stub
from tests.app.pages.test_export import exported
from tests.app.test_main import Headstart
from tests.pipelines.manifests import manifest_with

VERB, READ = "pipelines.export.export", "pipelines.runs.read_manifest.read_manifest"


@pytest.fixture
def calls(stub: Stub) -> list[Call]:
    """The calls of the verb, for a run that exists."""
    stub(READ, manifest_with())
    return stub(VERB, [exported(), exported(format="keras", path=Path("exported/model.keras"))])


def test_stdout_has_the_paths_and_stderr_the_table(headstart: Headstart, calls: list[Call]) -> None:
    result = headstart("export", "runs/a", "--out", "exported", "--format", "savedmodel", "--format", "keras")
    assert calls == [Call(("runs/a", "exported"), {"formats": ("savedmodel", "keras")})]
    assert result.out == "exported/1\nexported/model.keras\n"
    assert result.err.splitlines()[0].split()[:2] == ["format", "size"]


def test_the_default_format_is_a_savedmodel(headstart: Headstart, calls: list[Call]) -> None:
    headstart("export", "runs/a", "--out", "exported")
    assert calls[0].options["formats"] == ("savedmodel",) == (DEFAULT_FORMAT,)


def test_quiet_leaves_the_paths(headstart: Headstart, calls: list[Call]) -> None:
    result = headstart("export", "runs/a", "--out", "exported", "-q")
    assert (result.out, result.err) == ("exported/1\nexported/model.keras\n", "")


def test_a_missing_run_ends_before_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, [])
    result = headstart("export", "nowhere", "--out", "exported")
    assert (result.code, calls) == (1, [])
    assert "no run at `nowhere`" in result.err


def test_an_export_that_differs_exits_with_3(headstart: Headstart, stub: Stub) -> None:
    stub(READ, manifest_with())
    stub(VERB, UserError("the export differs", exit_code=3))
    result = headstart("export", "runs/a", "--out", "exported")
    assert (result.code, result.out) == (3, "")


def test_help_lists_the_formats_of_the_table() -> None:
    (option,) = [parameter for parameter in command_line().commands["export"].params if "--format" in parameter.opts]
    assert option.metavar == "|".join(EXPORTERS)
