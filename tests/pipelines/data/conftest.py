"""Fixtures of the tests of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tfds_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """headstart's cache, empty, with the sets of `tests.pipelines.data.tfds_sets` still to be prepared."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "cache"
