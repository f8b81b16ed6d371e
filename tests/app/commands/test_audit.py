"""`headstart audit`: options reach the verb, findings the terminal or a program."""

from __future__ import annotations

import json

from pipelines.audit.fixed_data import FixedData
from pipelines.audit_data import AuditPlaces, Written
from tests.app.commands.conftest import Call, Stub
from tests.app.pages.test_audit import made_audit
from tests.app.test_main import Headstart

VERB = "pipelines.audit_data.audit"


def test_options_reach_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, Written(audit=made_audit()))
    headstart("audit", "photos", "--run", "runs/a", "-o", "out", "--fix", "fixed", "--corrections", "audit.csv")
    places = AuditPlaces(out="out", fix="fixed", corrections="audit.csv")
    assert calls == [Call(("photos",), {"run": "runs/a", "places": places})]


def test_the_page_is_on_stdout_and_what_was_written_on_stderr(headstart: Headstart, stub: Stub) -> None:
    fixed = FixedData(path="fixed/data.csv", images=7, left_out=2, relabelled=1)
    stub(VERB, Written(audit=made_audit(), page="out/audit.html", fixed=fixed))
    result = headstart("audit", "photos", "--out", "out", "--fix", "fixed")
    assert result.code == 0
    assert "identical images in two classes" in result.out
    assert "`out/audit.html`" in result.err and "headstart train fixed/data.csv" in result.err
    assert "7 images: 2 left out, 1 with another class" in result.err


def test_without_a_place_it_says_how_to_see_more(headstart: Headstart, stub: Stub) -> None:
    stub(VERB, Written(audit=made_audit()))
    assert "--out DIR" in headstart("audit", "photos").err


def test_json_has_every_finding(headstart: Headstart, stub: Stub) -> None:
    stub(VERB, Written(audit=made_audit()))
    result = headstart("audit", "photos", "--json")
    record = json.loads(result.out)
    assert [finding["finding"] for finding in record["findings"]] == ["two-labels", "two-labels", "blurred"]
    assert record["findings"][0]["suggestion"].startswith("keep the copy in the right class")
    assert record["shortcut"]["is_claimed"] is True and record["page"] is None
    assert result.err == ""
