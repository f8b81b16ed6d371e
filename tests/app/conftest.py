"""Fixtures of the tests of the command line."""

from __future__ import annotations

import pytest

import pipelines.train
import pipelines.train_members
from models.errors import UserError
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import TrainSpec


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[TrainSpec | MembersSpec]:
    """What the verbs behind the command were called with; they go no further."""
    calls: list[TrainSpec | MembersSpec] = []

    def stop(spec: TrainSpec | MembersSpec, **_: object) -> None:
        calls.append(spec)
        raise UserError("far enough")

    monkeypatch.setattr(pipelines.train, "train", stop)
    monkeypatch.setattr(pipelines.train_members, "train_members", stop)
    return calls
