"""The story of a prediction: how inputs are counted, and that a list is read as it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines import predict as verb
from pipelines.evaluation.conformal import SetRule
from pipelines.inference.costs import CostTable
from pipelines.inference.decisions import Decisions
from pipelines.inference.inputs import Input
from tests.pipelines.test_ensemble import COLOURS, make_run, pictures

__all__ = ["pictures"]  # the fixture


def inputs(count: int) -> Iterator[Input]:
    return (Input(str(number)) for number in range(count))


def test_many_inputs_are_counted_without_losing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "MANY", 4)
    for count, expected in ((3, False), (4, True), (9, True)):
        is_many, sources = verb._count_many(inputs(count))
        assert is_many is expected
        assert [source.path for source in sources] == [str(number) for number in range(count)]


def test_a_list_that_is_still_being_written_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "list.txt").touch()
    streams = {"-": True, str(tmp_path / "pipe"): True, str(tmp_path / "list.txt"): False, str(tmp_path): False}
    assert {path: verb._is_stream(path) for path in streams} == streams


def test_a_run_predicts_every_input_and_lists_as_many_classes_as_asked(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    paths = [str(pictures / "green"), str(tmp_path / "missing.png")]
    columns, rows = verb.predict(str(run), paths, top_k=2, scores=True)
    *green, missing = rows
    assert (columns.class_names, columns.is_ensemble, columns.members) == (tuple(COLOURS), False, ())
    for row in green:
        assert sum(row.scores) == pytest.approx(1, abs=1e-4)
        assert row.scores[list(COLOURS).index("green")] == row.probability == max(row.scores)
    assert [(row.label, len(row.top_k)) for row in green] == [("green", 2)] * 16
    assert (missing.status, missing.reason) == ("unreadable", "no such file")


def test_members_of_a_single_model_are_refused(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    with pytest.raises(UserError, match="has no members"):
        verb.predict(str(run), [str(pictures)], members=True)


def test_sets_and_costs_are_made_of_the_probabilities(pictures: Path, tmp_path: Path) -> None:
    run, names = make_run(tmp_path / "run", pictures, tuple(COLOURS)), tuple(COLOURS)
    sets = SetRule(coverage=0.9, least=(0.0,) * len(names), images=9, basis="made up")
    costs = np.ones((len(names), len(names)))
    costs[:, names.index("red")] = 0  # whatever the truth, the answer red is free
    decisions = Decisions(sets=sets, costs=CostTable(costs=costs))
    columns, rows = verb.predict(str(run), [str(pictures / "green")], scores=True, decisions=decisions)
    assert columns.decision_fields == ("set", "chosen_by", "expected_cost")
    for row in rows:
        assert (row.label, row.expected_cost, row.top_k[0][0]) == ("red", 0.0, "green")
        assert row.probability == row.scores[names.index("red")]
        assert row.possible == tuple(label for label, _ in row.top_k) and set(row.possible) == set(names)


def test_sets_of_averaged_views_are_refused(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    rule = SetRule(coverage=0.9, least=(0.0,) * len(COLOURS), images=9, basis="made up")
    with pytest.raises(UserError, match="not averaged over views"):
        verb.predict(str(run), [str(pictures)], tta="flip", decisions=Decisions(sets=rule))
