"""The table of engines is light: the command line reads it for its choices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.engines.table import ENGINES, require
from models.errors import UserError


def test_engines_are_listed_without_tensorflow() -> None:
    code = "import sys, models.engines.table; assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"keras", "tensorflow", "openvino", "gpu"} <= ENGINES.keys()


def test_openvino_is_imported_without_its_telemetry(tmp_path: Path) -> None:
    """It would keep a client's identity in the home folder, and send it with each import."""
    if not ENGINES["openvino"].precisions():
        pytest.skip("openvino is not installed")
    code = "from models.engines.table import import_openvino; print(import_openvino().Core().available_devices)"
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "CPU" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_precision_that_is_offered_has_a_hope() -> None:
    for name, engine in ENGINES.items():
        assert set(engine.precisions()) <= set(engine.hope), name


def test_an_engine_that_cannot_run_here_says_why() -> None:
    with pytest.raises(UserError, match="no GPU") as raised:
        require(ENGINES["gpu"])
    assert "--engine auto" in raised.value.hint
