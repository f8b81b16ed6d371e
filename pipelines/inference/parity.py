"""Checks that an export gives the probabilities of its run, in a fresh process that cannot import headstart."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Pixels, Probabilities
from models.errors import UserError
from models.export import Exporter
from models.machine_errors import full_disk
from pipelines.system.arrays import write_array
from pipelines.system.temporary import temporary_folder
from pipelines.system.worker import bound_to_this

if TYPE_CHECKING:
    import keras

# Outputs of an export by name, as `models.export.Exporter.read` gives them: probabilities, class names, class indices.
Outputs: TypeAlias = Mapping[str, NDArray[Any]]  # of three types: float32, bytes, int64
TOLERANCE = 1e-4  # greatest difference of a probability that rounding explains
HIDDEN_PACKAGES = ("app", "models", "pipelines")
GATE_FAILED = 3  # exit code
BUG_HINT = "nothing was written; this should not happen: please report it with the run's `run.json`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How the probabilities of an export compare with those of its run.

    Attributes:
        max_difference: greatest absolute difference of a probability.
        top1_agreement: share of images with the same most probable class, in [0, 1].
    """

    max_difference: float
    top1_agreement: float


def predict_on_cpu(model: keras.Model, pixels: Pixels) -> Probabilities:
    """Probabilities of the run's own model, compiled and on the processor, as the export will be."""
    import tensorflow as tf

    function = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    with tf.device("/CPU:0"):
        return np.asarray(function(tf.constant(pixels)), np.float32)


def predict_in_fresh_process(
    format_name: str, exporter: Exporter, path: Path, contents: Sequence[bytes], pixels: Pixels
) -> Outputs:
    """Outputs of an export, from a process that cannot import headstart.

    Args:
        format_name: for messages.
        exporter: that wrote the export.
        path: the export.
        contents: of image files.
        pixels: the same images decoded and resized.

    Raises:
        FullDisk: the disk of temporary files is full.
        UserError: with exit code 3, when it cannot be loaded there.
    """
    request = {
        "path": os.fspath(path.absolute()),
        "reader": (inspect.getsourcefile(exporter.read), exporter.read.__name__),
        "hidden": HIDDEN_PACKAGES,
    }
    with temporary_folder("headstart-export-") as folder:
        (folder / "files").mkdir()
        for number, content in enumerate(contents):
            (folder / "files" / f"{number:06d}").write_bytes(content)
        with open(folder / "pixels.npy", "wb") as stream:
            write_array(stream, pixels)
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        finished = subprocess.run(
            bound_to_this(os.fspath(Path(__file__).with_name("reload_export.py")), os.fspath(folder)),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if finished.returncode != 0:
            lines = finished.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
            error = UserError(
                f"the {format_name} export cannot be loaded without headstart: {lines[-1]}",
                BUG_HINT,
                exit_code=GATE_FAILED,
            )
            raise full_disk(error) or error
        with np.load(folder / "outputs.npz") as outputs:
            return dict(outputs)


def compare_outputs(format_name: str, outputs: Outputs, expected: Probabilities, class_names: Sequence[str]) -> Parity:
    """Compare all probabilities of an export with those of its run: the worst difference and the worst agreement.

    Args:
        format_name: for messages.
        outputs: of the export.
        expected: (images, classes) of the run's model.
        class_names: in the order of the columns.

    Raises:
        UserError: with exit code 3, when rounding does not explain the differences.
    """
    predicted = [array for name, array in outputs.items() if name.startswith("probabilities")]
    parity = Parity(
        # Not the built-in `max`, which may pass over a NaN.
        max_difference=float(np.max([np.abs(probabilities - expected).max() for probabilities in predicted])),
        top1_agreement=min(_agreement(probabilities, expected) for probabilities in predicted),
    )
    has_right_names = "classes of files" not in outputs or _has_right_names(outputs, class_names)
    # Written so that a NaN fails.
    if not (parity.max_difference <= TOLERANCE and parity.top1_agreement == 1.0 and has_right_names):
        raise UserError(
            f"the {format_name} export differs from its run: probabilities by up to {parity.max_difference:.2g}, "
            f"top-1 agreement {parity.top1_agreement:.1%} on {len(expected)} images",
            BUG_HINT,
            exit_code=GATE_FAILED,
        )
    return parity


def _has_right_names(outputs: Outputs, class_names: Sequence[str]) -> bool:
    """Whether the classes that the export names are the most probable ones."""
    best = outputs["probabilities of files"].argmax(1)
    names = [name.decode() for name in outputs["classes of files"]]
    return names == [class_names[column] for column in best] and bool((outputs["class ids of files"] == best).all())


def _agreement(probabilities: Probabilities, expected: Probabilities) -> float:
    """Share of rows with the same most probable class; classes that are equal within the tolerance count as one."""
    rows = np.arange(len(expected))
    deficit = expected.max(1) - expected[rows, probabilities.argmax(1)]
    return float((deficit <= TOLERANCE).mean())
