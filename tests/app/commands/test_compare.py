"""`headstart compare`: the runs in the order given, as a page or as JSON."""

from __future__ import annotations

import json

from tests.app.commands.conftest import Call, Stub
from tests.app.pages.test_compare import row
from tests.app.test_main import Headstart

VERB = "pipelines.compare.compare"


def test_runs_reach_the_verb_in_their_order(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, (row("runs/b"), row("runs/a")))
    result = headstart("compare", "runs/b", "runs/a")
    assert calls == [Call((["runs/b", "runs/a"],), {"speed": True, "html": None})]
    assert (result.code, result.err) == (0, "")
    assert "difference from the first run, b:" in result.out


def test_no_speed_is_measured_on_request(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, (row("runs/a"),))
    headstart("compare", "runs/a", "--no-speed", "--html", "page.html")
    assert calls == [Call((["runs/a"],), {"speed": False, "html": "page.html"})]


def test_json_has_an_object_for_each_run(headstart: Headstart, stub: Stub) -> None:
    first = row("runs/a", accuracy_difference=None, log_loss_difference=None)
    stub(VERB, (first, row("runs/b")))
    result = headstart("compare", "runs/a", "runs/b", "--json")
    objects = json.loads(result.out)
    assert [entry["run"] for entry in objects] == ["runs/a", "runs/b"]
    assert objects[0]["accuracy_difference"] is None
    assert objects[1]["accuracy_difference"]["interval"] == [0.004, 0.0601]
    assert result.err == ""


def test_no_run_is_wrong_usage(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, ())
    assert headstart("compare").code == 2
    assert calls == []
