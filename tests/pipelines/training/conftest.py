"""A training after its head stage, in a feature cache of its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.pipelines.training.prepared import Prepare, prepare


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """A function that gives a training after its head stage: see `prepare`."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return partial(prepare, tmp_path)
