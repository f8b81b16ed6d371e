"""What the tests of `train`'s options share: a training that goes no further than its spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import TrainSpec
from pipelines.system.records import as_record
from tests.conftest import Result

Train = Callable[..., TrainSpec | MembersSpec | None]


@pytest.fixture
def train(headstart: Callable[..., Result], asked: list[TrainSpec | MembersSpec]) -> Train:
    """`train("--seed", 3)`: the spec that such a command line asks for, or None where it is wrong usage.

    A spec must be one that can be read again from run.json, which holds it.
    """

    def command(*words: object) -> TrainSpec | MembersSpec | None:
        asked.clear()
        code = headstart("train", "photos", "--out", "run", *words).code
        assert code == (1 if asked else 2)
        for spec in asked:
            assert as_record(json.loads(json.dumps(asdict(spec))), type(spec)) == spec
        return asked[0] if asked else None

    return command


def assert_range(
    train: Train, flag: str, inside: Sequence[float], outside: Sequence[object], read: Callable[[Any], object]
) -> None:
    """An option takes the numbers `inside` and hands them on; those `outside` are wrong usage.

    Args:
        train: the fixture.
        flag: of the option.
        inside: numbers, such as both edges of the range.
        outside: numbers or words.
        read: the option's value, given the spec that was asked for.
    """
    for value in inside:
        assert read(train(flag, value)) == value
    assert [train(flag, value) for value in outside] == [None] * len(outside)


@pytest.fixture
def page(headstart: Callable[..., Result]) -> str:
    """The help page of `train`, every run of white space one blank."""
    return " ".join(headstart("train", "--help-all").out.split())
