"""What the tests of `train`'s options share: a training that goes no further than its spec."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

import pipelines.train
import pipelines.train_members
from models.errors import UserError
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import TrainSpec
from pipelines.system.records import as_record
from tests.conftest import Result

Train = Callable[..., TrainSpec | MembersSpec | None]


@pytest.fixture
def train(headstart: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Train:
    """`train("--seed", 3)`: the spec that such a command line asks for, or None where it is wrong usage.

    A spec must be one that can be read again from run.json, which holds it.
    """
    specs: list[TrainSpec | MembersSpec] = []

    def stop(spec: TrainSpec | MembersSpec, **_: object) -> None:
        specs.append(spec)
        raise UserError("far enough")

    monkeypatch.setattr(pipelines.train, "train", stop)
    monkeypatch.setattr(pipelines.train_members, "train_members", stop)

    def command(*words: object) -> TrainSpec | MembersSpec | None:
        specs.clear()
        code = headstart("train", "photos", "--out", "run", *words).code
        assert code == (1 if specs else 2)
        for spec in specs:
            assert as_record(json.loads(json.dumps(asdict(spec))), type(spec)) == spec
        return specs[0] if specs else None

    return command


@pytest.fixture
def page(headstart: Callable[..., Result]) -> str:
    """The help page of `train`, every run of white space one blank."""
    return " ".join(headstart("train", "--help").out.split())
