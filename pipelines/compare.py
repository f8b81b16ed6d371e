"""Runs side by side: what they are, what they are worth, what they cost, and whether one is better than another.

headstart compare runs/transfer runs/scratch
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from pipelines.runs.manifest import MODEL_FILE, Manifest, read_manifest
from pipelines.runs.models import load_run
from pipelines.runs.report import Difference, Interval
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.evaluation.saved_predictions import SavedPredictions

BATCH, SPEED_SECONDS, SPEED_BATCHES = 32, 1.0, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One run among others.

    Attributes:
        run: its folder, as the user named it.
        backbone: its name; of an ensemble how many members there are.
        trained: which layers were: `head`, `head + 3 blocks`, or `all`.
        parameters: of the whole model.
        images: of the test part that judged it; of the validation part where there is no test part.
        part: which of the two.
        accuracy: on it.
        accuracy_interval: Wilson, 95 %.
        log_loss: on it, nats.
        log_loss_interval: bootstrap, 95 %.
        seconds: that training it took, wall time.
        images_per_second: that its saved model answers on this machine; None where it was not measured.
        size: of its saved model, bytes.
        accuracy_difference: its accuracy less the first run's, in pairs; None for the first run, and where the two
            were not judged by the same images.
        log_loss_difference: likewise.
    """

    run: str
    backbone: str
    trained: str
    parameters: int | None
    images: int
    part: str
    accuracy: float
    accuracy_interval: Interval
    log_loss: float
    log_loss_interval: Interval
    seconds: float
    images_per_second: float | None
    size: int
    accuracy_difference: Difference | None
    log_loss_difference: Difference | None

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def compare(folders: Sequence[str], *, speed: bool = True, reporter: Reporter | None = None) -> tuple[ComparedRun, ...]:
    """Put runs side by side.

    Args:
        folders: of complete runs; the others are compared with the first.
        speed: whether to load each model and measure how fast it answers.
        reporter: where progress goes; nowhere by default.

    Raises:
        UserError: there is no complete run in one of the folders, or one was judged by nothing.
    """
    say = reporter or Silent()
    # All manifests first: a wrong name is found before a model is loaded.
    manifests = [read_manifest(folder) for folder in folders]
    part = "test" if all("test" in each.metrics for each in manifests) else "validation"
    for folder, manifest in zip(folders, manifests, strict=True):
        if part not in manifest.metrics:
            raise UserError(f"the run `{folder}` was not judged on its {part} images", "train it again with --force")
    from pipelines.evaluation.saved_predictions import read_predictions

    kept = [read_predictions(folder, part) for folder in folders]
    found = []
    with say.task("compare", len(folders)) as task:
        for place, (folder, manifest) in enumerate(zip(folders, manifests, strict=True)):
            pair = None
            if place:
                pair = _paired(kept[0], kept[place], manifests[0].class_names, manifest.class_names)
            parameters, rate = _measured(folder) if speed else (manifest.backbone.get("parameters"), None)
            found.append(_row(folder, manifest, part, pair, parameters, rate))
            task.advance()
    return tuple(found)


def trained_layers(manifest: Manifest) -> str:
    """Which layers of a run learnt, in words."""
    if manifest.members:
        return "members"
    blocks: list[str] = []
    for stage in manifest.stages:
        if stage.get("unfreeze") == "all" or stage.get("name") == "from scratch":
            if stage.get("kept", True):
                return "all"
        elif stage.get("kept"):
            blocks = list(stage.get("trained", ()))
    if not blocks:
        return "head"
    return f"head + {len(blocks)} block{'s' if len(blocks) > 1 else ''}"


def _row(
    folder: str,
    manifest: Manifest,
    part: str,
    pair: tuple[Difference, Difference] | None,
    parameters: int | None,
    rate: float | None,
) -> ComparedRun:
    from pathlib import Path

    metrics = manifest.metrics[part]
    members = len(manifest.members)
    return ComparedRun(
        run=folder,
        backbone=f"{members} members" if members else str(manifest.backbone.get("name", "?")),
        trained=trained_layers(manifest),
        parameters=parameters,
        images=int(metrics["images"]),
        part=part,
        accuracy=metrics["accuracy"],
        accuracy_interval=tuple(metrics["accuracy_interval"]),
        log_loss=metrics["log_loss"],
        log_loss_interval=tuple(metrics["log_loss_interval"]),
        seconds=round(sum(manifest.seconds.values()), 2),
        images_per_second=rate,
        size=(Path(folder) / MODEL_FILE).stat().st_size,
        accuracy_difference=pair[0] if pair else None,
        log_loss_difference=pair[1] if pair else None,
    )


def _paired(
    first: SavedPredictions | None, other: SavedPredictions | None, first_names: Sequence[str], names: Sequence[str]
) -> tuple[Difference, Difference] | None:
    """Accuracy and log-loss of the other less the first's, where the same images judged both; else None."""
    if first is None or other is None or sorted(first_names) != sorted(names):
        return None
    import numpy as np

    from pipelines.evaluation.intervals import paired_bootstrap
    from pipelines.evaluation.metrics import losses

    if set(first.sha256) != set(other.sha256) or len(first.sha256) != len(other.sha256):
        return None
    # The same content has the same answer, so it does not matter which of two identical images is meant.
    places = {digest: place for place, digest in enumerate(other.sha256)}
    rows = np.array([places[digest] for digest in first.sha256])
    columns = [list(names).index(name) for name in first_names]
    answers = other.probabilities[rows][:, columns]
    right = [_right(answers, first.labels), _right(first.probabilities, first.labels)]
    loss = [losses(answers, first.labels), losses(first.probabilities, first.labels)]
    return paired_bootstrap(*right), paired_bootstrap(*loss)


def _right(answers: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    hits: NDArray[np.float64] = (answers.argmax(1) == labels).astype(float)
    return hits


def _measured(folder: str) -> tuple[int, float]:
    """Parameters of a run's model, and how many images a second it answers in batches on this machine."""
    import numpy as np

    model, manifest = load_run(folder)
    pixels = np.full((BATCH, manifest.image_size, manifest.image_size, 3), 127.0, np.float32)
    model.predict_on_batch(pixels)  # The first batch is traced.
    times = _times(model, pixels)
    return int(model.count_params()), round(BATCH / float(np.median(times)), 1)


def _times(model: keras.Model, pixels: NDArray[np.float32]) -> list[float]:
    times: list[float] = []
    while sum(times) < SPEED_SECONDS and len(times) < SPEED_BATCHES:
        began = time.monotonic()
        model.predict_on_batch(pixels)
        times.append(time.monotonic() - began)
    return times
