"""`headstart evaluate`: its options reach the verb; scores to stdout, warnings to stderr."""

from __future__ import annotations

import json

import pytest

from pipelines.evaluate import Evaluation
from tests.app.commands.conftest import Call, Stub
from tests.app.pages.samples import sample_report
from tests.app.test_main import Headstart

VERB = "pipelines.evaluate.evaluate"
NO_SETS = {"coverage": None, "is_by_class": False}


def evaluation(skipped: int = 0) -> Evaluation:
    return Evaluation(
        report=sample_report(["cat", "dög"], 40), part="test", remarks=("one remark",), skipped=skipped, how="cached"
    )


def test_without_options_the_test_part_is_scored_from_cached_features(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, evaluation())
    result = headstart("evaluate", "runs/a", "photos")
    assert calls == [Call(("runs/a", "photos"), {"split": "auto", "cache": True, "tta": None, "out": None, **NO_SETS})]
    assert (result.code, result.err) == (0, "")
    assert "calibration error" in result.out and "true class" in result.out


def test_options_reach_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, evaluation())
    headstart("evaluate", "runs/a", "photos", "--split", "validation", "--no-cache", "--tta", "crop5", "-o", "drawn")
    expected = {"split": "validation", "cache": False, "tta": "crop5", "out": "drawn", **NO_SETS}
    assert calls == [Call(("runs/a", "photos"), expected)]


def test_json_is_one_line_of_ascii_and_nothing_else(headstart: Headstart, stub: Stub) -> None:
    expected = evaluation(skipped=3)
    stub(VERB, expected)
    result = headstart("evaluate", "runs/a", "photos", "--json")
    assert result.out.isascii() and result.out.count("\n") == 1 and result.err == ""
    scores = json.loads(result.out)
    assert scores["accuracy"] == expected.report.accuracy
    assert [row["name"] for row in scores["classes"]] == ["cat", "dög"]
    assert (scores["part"], scores["remarks"], scores["skipped"]) == ("test", ["one remark"], 3)


def test_files_that_were_left_out_are_a_warning_on_stderr(headstart: Headstart, stub: Stub) -> None:
    stub(VERB, evaluation(skipped=2))
    assert headstart("evaluate", "runs/a", "photos", "-q").err == (
        "warning: 2 files are not readable images and were left out\n"
    )


@pytest.mark.parametrize("name", ["val", "valid", "VALIDATION"])
def test_a_part_goes_by_the_names_of_its_folder(headstart: Headstart, stub: Stub, name: str) -> None:
    calls = stub(VERB, evaluation())
    headstart("evaluate", "runs/a", "photos", "--split", name)
    assert [call.options["split"] for call in calls] == ["validation"]


def test_a_part_that_does_not_exist_is_wrong_usage(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, evaluation())
    result = headstart("evaluate", "runs/a", "photos", "--split", "tset")
    assert (result.code, calls) == (2, [])
    assert "'auto', 'all', 'train', 'validation', 'test'" in result.err
