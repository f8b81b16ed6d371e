"""A member that fails unexpectedly gets a second attempt in a new process; one whose options are wrong does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from models.machine_errors import FullDisk
from pipelines.members import processes
from pipelines.members.processes import train_in_processes
from pipelines.members.spec import MEMBERS_FOLDER, MembersOrder, list_members
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.system.messages import Event
from tests.pipelines.reporters import Notes
from tests.specs import train_spec

# What becomes of a member in an attempt: it is trained, or one of these happens.
OUTCOMES: dict[str, Event] = {
    "wrong": {"message": "too small", "hint": "raise --image-size"},
    "bug": {"message": "MemoryError: too much", "hint": "please report it", "unexpected": "yes"},
}
Orders = list[tuple[str, ...]]


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, list[str]]], Orders]:
    """Plays what becomes of each member, attempt by attempt; returns the members of each process.

    The worker process `dies` at a member, finds the disk `full`, `ends` a boosting before it, or else one of
    `OUTCOMES` is sent.
    """

    def play(script: dict[str, list[str]]) -> Orders:
        orders: Orders = []

        def run(module: str, order: MembersOrder, *, reporter: Notes, on_event: Callable[[Event], None]) -> None:
            assert module == "pipelines.members.member_training"
            orders.append(tuple(member.name for member in order.members))
            for name in orders[-1]:
                outcome = script[name].pop(0) if script.get(name) else "trained"
                if outcome == "dies":
                    raise UserError("the worker process was killed", "give fewer --heads")
                if outcome == "full":
                    raise FullDisk("no space left on the disk")
                if outcome == "ends":
                    on_event({"ended": name, "message": "boosting ends"})
                elif outcome == "trained":
                    (Path(order.place) / MEMBERS_FOLDER / name).mkdir()
                    (Path(order.place) / MEMBERS_FOLDER / name / "run.json").touch()
                    on_event({"done": name})
                else:
                    on_event({"failed": name, **OUTCOMES[outcome]})

        monkeypatch.setattr(processes, "run_in_worker", run)
        return orders

    return play


def spec_with(**options: Any) -> MembersSpec:  # of MembersSpec, of as many types
    return MembersSpec(common=train_spec(), backbones=("a", "b"), heads=("mlp",), seeds=2, **options)


def train(folder: Path) -> tuple[dict[str, str], list[str], list[str]]:
    """Why members failed, the lines about boosting, and what was printed."""
    notes = Notes()
    failures, ended = train_in_processes(spec_with(), list_members(spec_with()), folder, notes)
    return {name: error.message for name, error in failures.items()}, ended, notes.lines


ALL = [("a-s0", "a-s1"), ("b-s0", "b-s1")]


def test_each_backbone_has_a_process_and_complete_members_have_none(
    tmp_path: Path, attempts: Callable[[dict[str, list[str]]], Orders]
) -> None:
    orders = attempts({})
    assert train(tmp_path)[:2] == ({}, [])
    assert orders == ALL
    (tmp_path / MEMBERS_FOLDER / "a-s1" / "run.json").unlink()
    (tmp_path / MEMBERS_FOLDER / "a-s1").rmdir()
    train(tmp_path)
    assert orders[2:] == [("a-s1",)]


@pytest.mark.parametrize("outcome", ["bug", "dies"])
def test_an_unexpected_failure_gets_one_more_attempt(
    outcome: str, tmp_path: Path, attempts: Callable[[dict[str, list[str]]], Orders]
) -> None:
    orders = attempts({"a-s1": [outcome]})
    failures, _, lines = train(tmp_path)
    assert failures == {}
    assert orders == [ALL[0], ("a-s1",), ALL[1]]
    assert "training once more, in a new process: a-s1" in lines


def test_a_second_failure_stays(tmp_path: Path, attempts: Callable[[dict[str, list[str]]], Orders]) -> None:
    orders = attempts({"a-s0": ["bug", "bug"], "b-s0": ["dies", "dies"]})
    assert train(tmp_path)[0] == {
        "a-s0": "MemoryError: too much",
        "b-s0": "the worker process was killed",
        "b-s1": "the worker process was killed",
    }
    assert orders == [ALL[0], ("a-s0",), ALL[1], ALL[1]]


def test_an_error_of_the_user_is_not_tried_again(
    tmp_path: Path, attempts: Callable[[dict[str, list[str]]], Orders]
) -> None:
    orders = attempts({"a-s0": ["wrong"]})
    failures, _, lines = train(tmp_path)
    assert failures == {"a-s0": "too small"}
    assert orders == ALL
    assert "a-s0 failed: too small" in lines


def test_a_full_disk_ends_it_all(tmp_path: Path, attempts: Callable[[dict[str, list[str]]], Orders]) -> None:
    orders = attempts({"a-s1": ["full"]})
    with pytest.raises(FullDisk):
        train(tmp_path)
    assert orders == ALL[:1]


def test_what_boosting_leaves_out_has_not_failed(
    tmp_path: Path, attempts: Callable[[dict[str, list[str]]], Orders]
) -> None:
    orders = attempts({"a-s1": ["ends"], "b-s0": ["ends"], "b-s1": ["dies"]})
    assert train(tmp_path)[:2] == ({}, ["boosting ends", "boosting ends"])
    assert orders == [*ALL, ("b-s1",)]
