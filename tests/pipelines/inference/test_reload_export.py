"""The process that reads an export cannot import headstart, however it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.inference import reload_export

ROOT = Path(__file__).resolve().parents[3]


def read_with(folder: Path, reader: str, *, hidden: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the script on a folder with one file and these pixels, with headstart on the path."""
    (folder / "files").mkdir()
    (folder / "files" / "000000").write_bytes(b"content")
    np.save(folder / "pixels.npy", np.ones((1, 2, 2, 3), np.float32))
    (folder / "reader.py").write_text(reader)
    request = {"path": "/export", "reader": [str(folder / "reader.py"), "read"], "hidden": hidden}
    (folder / "request.json").write_text(json.dumps(request))
    return subprocess.run(
        [sys.executable, "-P", reload_export.__file__, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_reader_gets_path_contents_and_pixels(tmp_path: Path) -> None:
    reader = "def read(path, contents, pixels):\n    return {path: pixels, contents[0].decode(): pixels * 2}\n"
    finished = read_with(tmp_path, reader, hidden=["pipelines", "models", "app"])
    assert finished.returncode == 0, finished.stderr
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert {name: float(outputs[name].sum()) for name in outputs.files} == {"/export": 12.0, "content": 24.0}


@pytest.mark.parametrize("package", ["models", "models.errors", "pipelines.system.text"])
def test_a_reader_cannot_import_headstart(tmp_path: Path, package: str) -> None:
    reader = f"def read(path, contents, pixels):\n    import {package}\n    return {{}}\n"
    finished = read_with(tmp_path, reader, hidden=["pipelines", "models", "app"])
    assert finished.returncode == 1
    assert "ModuleNotFoundError" in finished.stderr.splitlines()[-1]


def test_a_package_that_is_not_hidden_is_found(tmp_path: Path) -> None:
    reader = "def read(path, contents, pixels):\n    import models.errors\n    return {}\n"
    assert read_with(tmp_path, reader, hidden=["pipelines", "app"]).returncode == 0
