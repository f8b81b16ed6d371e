"""Puts fake engines into the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.engines import compiled, race, table
from tests.models.engines.fake import FakeEngine, Fakes


@pytest.fixture
def fake_engines(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """A function that replaces the engines by a `keras` that takes 0.2 s a batch and the fakes given."""

    def make(**fakes: FakeEngine) -> dict[str, FakeEngine]:
        engines = {"keras": FakeEngine(seconds=0.2, hope=1.0), **fakes}
        entries = {name: fake.entry() for name, fake in engines.items()}
        entries["keras"] = replace(entries["keras"], precisions=lambda: ("float32",), hope={"float32": 1.0})
        for module in (compiled, race, table):
            monkeypatch.setattr(module, "ENGINES", entries)
        return engines

    return make
