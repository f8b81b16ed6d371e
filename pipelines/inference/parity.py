"""Whether an export answers as its run does: asked in a fresh process that cannot import headstart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
# An export may differ from its run by this in a probability: rounding, and nothing else.
TOLERANCE = 1e-4
OWN_PACKAGES = ("app", "models", "pipelines")
GATE_FAILED = 3
_BUG = "nothing was written; this should not happen: please report it with the run's `run.json`"


def probabilities(model: keras.Model, pixels: Floats) -> Floats:
    """What the run's own model says of pixels (images, side, side, 3): (images, classes)."""
    import tensorflow as tf

    # Compiled and on the processor, as the export will be: so that what differs is the export.
    run = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    with tf.device("/CPU:0"):
        return np.asarray(run(tf.constant(pixels)), np.float32)


def ask_in_fresh_process(name: str, path: Path, contents: Sequence[bytes], pixels: Floats) -> dict[str, Any]:
    """What an export says in a fresh process that cannot import headstart.

    Args:
        name: of the format.
        path: the export.
        contents: image files.
        pixels: the same decoded and resized, (images, side, side, 3) float32 in [0, 255].

    Returns:
        The answers as `pipelines/inference/reload_export.py` names them.

    Raises:
        UserError: with exit code 3, when it cannot be loaded there.
    """
    with tempfile.TemporaryDirectory(prefix="headstart-export-") as place:
        folder = Path(place)
        (folder / "files").mkdir()
        for number, content in enumerate(contents):
            (folder / "files" / f"{number:06d}").write_bytes(content)
        np.save(folder / "pixels.npy", pixels)
        ask = {"format": name, "path": os.fspath(path.absolute()), "own": OWN_PACKAGES}
        (folder / "ask.json").write_text(json.dumps(ask), encoding="utf-8")
        script = Path(__file__).with_name("reload_export.py")
        done = subprocess.run(
            [sys.executable, "-P", os.fspath(script), place],
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(
                f"the {name} export cannot be loaded without headstart: {last}", _BUG, exit_code=GATE_FAILED
            )
        with np.load(folder / "answers.npz") as answers:
            return dict(answers)


def compare_outputs(
    name: str, answers: dict[str, Any], expected: Floats, class_names: Sequence[str]
) -> tuple[float, float]:
    """Greatest difference and top-1 agreement over all ways to ask.

    Raises:
        UserError: with exit code 3, when they are not what rounding explains.
    """
    differences, agreements = [], []
    for way, found in answers.items():
        if way.startswith("probabilities"):
            differences.append(float(np.abs(found - expected).max()))
            agreements.append(_agreement(found, expected))
    difference, agreement = max(differences), min(agreements)
    named = _is_named(answers, class_names) if "classes of files" in answers else True
    # Written so that a NaN fails.
    if not (difference <= TOLERANCE and agreement == 1.0 and named):
        raise UserError(
            f"the {name} export does not answer as its run does: probabilities differ by up to {difference:.2g}, "
            f"top-1 agreement {agreement:.1%} on {len(expected)} images",
            _BUG,
            exit_code=GATE_FAILED,
        )
    return difference, agreement


def _is_named(answers: dict[str, Any], class_names: Sequence[str]) -> bool:
    best = answers["probabilities of files"].argmax(1)
    said = [each.decode() for each in answers["classes of files"]]
    return said == [class_names[each] for each in best] and bool((answers["class ids of files"] == best).all())


def _agreement(found: Floats, expected: Floats) -> float:
    """Share of rows with the same best class; equals within the tolerance count as the same."""
    rows = np.arange(len(expected))
    behind = expected.max(1) - expected[rows, found.argmax(1)]
    return float((behind <= TOLERANCE).mean())
