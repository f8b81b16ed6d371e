"""Remembers which engine was chosen, for each machine and its versions, in a small JSON file (no NumPy, no Keras)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from models.engines.records import EngineChoice
from models.engines.table import ENGINES
from models.machine import bfloat16_units, graphics, processor

# A choice for a few images left out what was not worth building for them; for so many times as many it is made anew.
_GROWN = 2
_PACKAGES = ("tensorflow", "keras", "openvino", "headstart")


def machine_key() -> str:
    """A short name of this machine and of the versions on it: what is fastest elsewhere may be missing here."""
    parts = (processor(), bfloat16_units(), graphics(), [_version(name) for name in _PACKAGES])
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def read_choice(file: Path, asked: str, num_images: int | None) -> EngineChoice | None:
    """The engine that was chosen on this machine.

    Args:
        file: of one frozen base.
        asked: the engine that was asked for, or `auto`.
        num_images: how many images there are to compute; None for very many.

    Returns:
        None where there is no choice that holds for so many images and can run here.
    """
    choice = _read(file).get(machine_key(), {}).get(asked)
    if choice is None:
        return None
    engine = ENGINES.get(choice.engine)
    if engine is None or choice.precision not in engine.precisions():
        return None
    limit = None if choice.num_images is None else _GROWN * choice.num_images
    if limit is not None and (num_images is None or num_images > limit):
        return None
    return choice


def write_choice(file: Path, asked: str, choice: EngineChoice) -> str:
    """Remember a choice; returns why that was not possible, or an empty string."""
    choices = _read(file)
    choices.setdefault(machine_key(), {})[asked] = choice
    values = {
        machine: {asked: asdict(choice) for asked, choice in of_machine.items()}
        for machine, of_machine in choices.items()
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=file.name, delete=False) as stream:
            stream.write(json.dumps(values, indent=1) + "\n")
        try:
            os.replace(stream.name, file)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(stream.name)
            raise
    except OSError as error:
        return f"the choice of engine is not remembered: `{file}` cannot be written: {error.strerror}"
    return ""


def _read(file: Path) -> dict[str, dict[str, EngineChoice]]:
    """Machine -> engine asked for -> choice; empty where the file is missing, damaged or of an older layout."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return msgspec.convert(values, dict[str, dict[str, EngineChoice]])
    except (OSError, ValueError):
        return {}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
