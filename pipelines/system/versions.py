"""Reads the installed versions of the packages that results depend on, without importing them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("headstart", "keras", "tensorflow", "numpy", "pillow")


def versions() -> dict[str, str]:
    """`python` and each of `PACKAGES` -> its version, or `not installed`."""
    return {"python": platform.python_version()} | {name: installed_version(name) for name in PACKAGES}


def installed_version(name: str) -> str:
    """The version of a distribution, or `not installed`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
