"""Tell whether two models are the same network with the same weights."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def fingerprint(model: keras.Model) -> str:
    """A hash that two models share when they compute the same: their layers, whatever their names, and weights."""
    config = json.loads(model.to_json())
    names: dict[str, str] = {}
    _collect_names(config, names)
    digest = hashlib.sha256(json.dumps(_without_names(config, names), sort_keys=True).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight)
        digest.update(f"{value.shape} {value.dtype}".encode())
        digest.update(value.data)
    return digest.hexdigest()


def _collect_names(node: Any, names: dict[str, str]) -> None:
    if isinstance(node, dict):
        if node.get("class_name") == "DTypePolicy":
            return  # its name is what it does
        if isinstance(node.get("name"), str):
            names.setdefault(node["name"], f"#{len(names)}")
        for value in node.values():
            _collect_names(value, names)
    elif isinstance(node, list):
        for value in node:
            _collect_names(value, names)


def _without_names(node: Any, names: dict[str, str]) -> Any:
    """The same structure with every name replaced by its number, and without what changes no answer."""
    if isinstance(node, dict):
        dropped = ("trainable", "compile_config", "shared_object_id", "keras_version")
        return {key: _without_names(value, names) for key, value in node.items() if key not in dropped}
    if isinstance(node, list):
        return [_without_names(value, names) for value in node]
    return names.get(node, node) if isinstance(node, str) else node
