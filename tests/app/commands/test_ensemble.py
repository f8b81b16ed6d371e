"""`headstart ensemble`: every option reaches the spec, and the page goes to stderr."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.errors import UserError
from pipelines.runs.ensemble_spec import EnsembleSpec
from tests.app.commands.conftest import Call, Stub
from tests.app.test_main import Headstart

VERB = "pipelines.ensemble.ensemble"
PLAIN = EnsembleSpec(runs=("runs/a", "runs/b"), out="runs/ab")


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ((), {}),
        (("--method", "vote"), {"method": "vote"}),
        (("--max-latency", "12.5"), {"max_latency": 12.5}),
        (("--max-size", "80"), {"max_size": 80.0}),
        (("--seed", "3"), {"seed": 3}),
    ],
)
def test_options_reach_the_spec(
    headstart: Headstart, stub: Stub, arguments: tuple[str, ...], fields: dict[str, object]
) -> None:
    calls = stub(VERB, UserError("far enough"))
    headstart("ensemble", "runs/a", "runs/b", "--out", "runs/ab", *arguments)
    expected = replace(PLAIN, **fields)  # type: ignore[arg-type]  # the fields of an EnsembleSpec
    assert calls == [Call((expected,), {"force": False, "report": True})]


def test_force_replaces_a_run(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, UserError("far enough"))
    headstart("ensemble", "runs/a", "runs/b", "--out", "runs/ab", "--force")
    assert calls == [Call((PLAIN,), {"force": True, "report": True})]


def test_a_negative_limit_is_wrong_usage(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, UserError("far enough"))
    assert headstart("ensemble", "runs/a", "runs/b", "--out", "runs/ab", "--max-size", "-1").code == 2
    assert calls == []
