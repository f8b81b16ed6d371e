"""`headstart demo`: where it writes, and what it prints at the end."""

from __future__ import annotations

from models.errors import UserError
from tests.app.commands.conftest import Call, Stub
from tests.app.pages.test_demo import sample_demo
from tests.app.test_main import Headstart

VERB = "pipelines.demo.demo"


def test_the_demo_goes_to_runs_demo_and_replaces_nothing(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, sample_demo())
    result = headstart("demo")
    assert calls == [Call(("runs/demo",), {"force": False})]
    assert (result.code, result.err) == (0, "")
    assert "head on frozen base" in result.out and result.out.endswith("headstart train photos/\n")


def test_options_reach_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, UserError("`elsewhere` exists", "choose another --out"))
    result = headstart("demo", "--out", "elsewhere", "--force")
    assert calls == [Call(("elsewhere",), {"force": True})]
    assert (result.code, result.out) == (1, "")
