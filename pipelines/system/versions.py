"""Which versions made a run: read from what is installed, not imported."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("headstart", "keras", "tensorflow", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Package -> version, with Python's own."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
