"""The engine that a frozen base runs on: chosen once on this machine, and remembered beside the features."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import UserError
from pipelines.features.cached import Base
from pipelines.runs.examples import Example
from pipelines.system.cache import cache_folder
from pipelines.system.files import write_json
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

    from models.engines.compiled import CompiledBase


def compile_engine(
    base: Base,
    build: Callable[[], keras.Model],
    engine: str,
    precision: str | None,
    parts: dict[str, Sequence[Example]],
    num_images: int,
    reporter: Reporter,
) -> tuple[CompiledBase, dict[str, Any]]:
    """Build the base and its engine, measured on the first images; a precision that is given is kept to."""
    from models.engines.compiled import compile_base
    from models.engines.gpu import grow_memory
    from pipelines.images.batches import view_batches

    grow_memory()  # Before anything is on the GPU.
    first = next(iter(examples for examples in parts.values() if examples))[:32]
    sample = next(iter(view_batches([(each, 0) for each in first], size=base.image_size, batch=32)))
    compiled = compile_base(
        build(),
        engine=engine,
        precision=precision,
        sample=np.asarray(sample),
        num_images=num_images,
        choice_file=base.folder / "engines.json",
    )
    chosen = {
        "engine": compiled.engine,
        "precision": compiled.precision,
        "report": compiled.report,
        "num_images": num_images,
    }
    write_json(_made(base.folder) / "base.json", asdict(base))
    write_choice(base, engine, chosen)
    for line in compiled.lines:
        reporter.note(line)
    return compiled, chosen


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache folder `{cache_folder()}` cannot be written: {error.strerror}",
            "set HEADSTART_CACHE to a folder that can, or train with --no-cache",
        ) from error
    return folder


def read_choice(base: Base, engine: str, num_images: int) -> dict[str, Any] | None:
    """What was chosen before; None if nothing was, or for so few images that a faster engine was not worth building."""
    try:
        found = json.loads((base.folder / f"engine-{engine}.json").read_text(encoding="utf-8"))
        known = {"engine", "precision", "report"} <= found.keys()
        return found if known and num_images <= 2 * found.get("num_images", num_images) else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def write_choice(base: Base, engine: str, chosen: dict[str, Any]) -> None:
    """Remember what was chosen where `engine` was asked for."""
    write_json(base.folder / f"engine-{engine}.json", chosen)
