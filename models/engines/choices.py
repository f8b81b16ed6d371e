"""Which engine was chosen for which model on which machine, kept in a small JSON file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.fingerprint import fingerprint
from models.machine import bfloat16_units, processor

if TYPE_CHECKING:
    import keras

# A choice for a few images left out what was not worth building for them; for so many times as many it is made anew.
_GROWN = 2
_PACKAGES = ("tensorflow", "keras", "openvino", "headstart")


def key(model: keras.Model, shape: tuple[int, ...], asked: str) -> str:
    """What a choice holds for: layers and weights of the model, the input shape, what was asked, machine and versions.

    Empty for a model whose layers cannot be told: its choice is not kept.
    """
    import tensorflow as tf

    digest = hashlib.sha256()
    for part in (shape, asked, processor(), bfloat16_units(), [_version(name) for name in _PACKAGES]):
        digest.update(repr(part).encode())
    digest.update(repr([device.name for device in tf.config.list_physical_devices("GPU")]).encode())
    try:
        digest.update(fingerprint(model).encode())
    except NotImplementedError:  # A subclassed model that cannot say what it is made of.
        return ""
    return digest.hexdigest()[:24]


def read(file: Path, key: str, num_images: int | None) -> dict[str, Any] | None:
    """The choice kept under `key`; None if there is none that holds for so many images and can run here."""
    from models.engines.table import ENGINES

    choice = _all(file).get(key)
    if not isinstance(choice, dict) or not {"engine", "precision", "report", "num_images"} <= choice.keys():
        return None
    known = ENGINES.get(choice["engine"])
    if known is None or choice["precision"] not in known.precisions():
        return None
    made_for = choice["num_images"]
    if made_for is not None and (num_images is None or num_images > _GROWN * made_for):
        return None
    return choice


def write(file: Path, made: dict[str, dict[str, Any]]) -> list[str]:
    """Keep choices by their keys; returns why that could not be done, as a list of at most one line."""
    kept = {**_all(file), **made}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=file.name, delete=False) as stream:
            stream.write(json.dumps(kept, indent=2) + "\n")
        try:
            os.replace(stream.name, file)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(stream.name)
            raise
    except OSError as error:
        return [f"the choice is not kept: `{file}` cannot be written: {error.strerror}"]
    return []


def _all(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
