"""Hashes a model so that the same network with the same weights has the same hash."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import keras

Json: TypeAlias = Any  # A value that json.loads() returns.


def fingerprint(model: keras.Model) -> str:
    """Compute the SHA-256 (64 hex digits) of the layers, without their names, and of the weights of a model."""
    config = json.loads(model.to_json())
    names: dict[str, str] = {}
    _collect_names(config, names)
    digest = hashlib.sha256(json.dumps(_without_names(config, names), sort_keys=True).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight)
        digest.update(f"{value.shape} {value.dtype}".encode())
        digest.update(value.data)
    return digest.hexdigest()


def _collect_names(node: Json, names: dict[str, str]) -> None:
    if isinstance(node, dict):
        if node.get("class_name") == "DTypePolicy":
            return  # The name of a policy is its meaning.
        if isinstance(node.get("name"), str):
            names.setdefault(node["name"], f"#{len(names)}")
        for value in node.values():
            _collect_names(value, names)
    elif isinstance(node, list):
        for value in node:
            _collect_names(value, names)


def _without_names(node: Json, names: dict[str, str]) -> Json:
    """Replace every name by its number, and drop entries that do not change the output of a model."""
    if isinstance(node, dict):
        dropped = ("trainable", "compile_config", "shared_object_id", "keras_version")
        return {key: _without_names(value, names) for key, value in node.items() if key not in dropped}
    if isinstance(node, list):
        return [_without_names(value, names) for value in node]
    return names.get(node, node) if isinstance(node, str) else node
