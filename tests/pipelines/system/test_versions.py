"""Versions are read from what is installed, and nothing is imported for it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import PIL
import pytest
import tensorflow as tf

from pipelines.system import versions

ROOT = Path(__file__).resolve().parents[3]


def test_versions_are_those_that_the_packages_have_themselves() -> None:
    installed = versions.versions()
    assert list(installed) == ["python", "headstart", "keras", "tensorflow", "numpy", "pillow"]
    expected = (platform.python_version(), keras.__version__, tf.__version__, np.__version__, PIL.__version__)
    assert tuple(installed[name] for name in ("python", "keras", "tensorflow", "numpy", "pillow")) == expected


def test_a_missing_package_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PACKAGES", ("no-such-package-at-all",))
    assert versions.versions()["no-such-package-at-all"] == "not installed"


def test_reading_versions_imports_no_package() -> None:
    code = (
        "import sys; from pipelines.system.versions import versions; versions(); "
        "assert not {'keras', 'tensorflow', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
