"""What the tests of pages share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bootstrap intervals are coarse and fast here: pages print them, other tests check them."""
    monkeypatch.setattr("pipelines.evaluation.intervals.RESAMPLES", 20)
