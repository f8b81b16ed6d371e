"""Compares runs: layers trained, cost, scores, and paired differences from the first run.

headstart compare runs/transfer runs/scratch
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.reports.compared_run import ComparedRun
from pipelines.reports.place import require_page
from pipelines.runs.examples import Split
from pipelines.runs.manifest import Manifest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import model_files, read_manifest
from pipelines.runs.report import ModelComparison
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    import keras

    from models.arrays import Pixels
    from pipelines.evaluation.saved_predictions import SavedPredictions

BATCH = 32
SPEED_SECONDS, SPEED_BATCHES = 1.0, 20  # the speed is measured until either is reached


def compare(
    folders: Sequence[str], *, speed: bool = True, html: str | None = None, reporter: Reporter | None = None
) -> tuple[ComparedRun, ...]:
    """Compare runs with the first of them.

    Args:
        folders: of complete runs.
        speed: whether to load each model and measure its prediction speed.
        html: file for a page that shows the runs side by side; None for none.
        reporter: where progress goes; nowhere by default.

    Raises:
        UserError: a folder has no complete run, a run has no scores on the part that is compared, or the page cannot be
            written there.
    """
    reporter = reporter or Silent()
    if html is not None:
        require_page(html, option="--html")
    # All manifests first: a wrong name is reported before a model is loaded.
    manifests = [read_manifest(folder) for folder in folders]
    part: Split = "test" if all("test" in manifest.metrics for manifest in manifests) else "validation"
    for folder, manifest in zip(folders, manifests, strict=True):
        if part not in manifest.metrics:
            raise UserError(f"the run `{folder}` has no scores on {part} images", "train it again with --force")
    from pipelines.evaluation.saved_predictions import read_predictions

    predictions = [read_predictions(folder, part) for folder in folders]
    rows = []
    with reporter.task("compare", len(folders)) as task:
        for number, (folder, manifest) in enumerate(zip(folders, manifests, strict=True)):
            difference = None
            if number:
                difference = compare_saved_predictions(
                    (predictions[number], predictions[0]),
                    (manifest.class_names, manifests[0].class_names),
                    names=(folder, folders[0]),
                    part=part,
                )
            parameters, rate = measure_speed(folder) if speed else (manifest.backbone.parameters, None)
            rows.append(_row(folder, manifest, part, difference, parameters, rate))
            task.advance()
    if html is not None:
        from pipelines.reports.compare_page import write_compare_page

        with reporter.task("drawing the page", None):
            write_compare_page(rows, folders, manifests, predictions, Path(html))
    return tuple(rows)


def trained_layers(manifest: Manifest) -> str:
    """The layers of a run that were trained: `head`, `head + 3 blocks`, `all`, or `members` of an ensemble."""
    if manifest.members:
        return "members"
    blocks: tuple[str, ...] = ()
    for stage in manifest.stages:
        if stage.unfreeze == "all" or stage.name == "from scratch":
            if stage.kept is not False:
                return "all"
        elif stage.kept:
            blocks = stage.trained
    if not blocks:
        return "head"
    return f"head + {len(blocks)} block{'s' if len(blocks) > 1 else ''}"


def compare_saved_predictions(
    predictions: tuple[SavedPredictions | None, SavedPredictions | None],
    class_names: tuple[Sequence[str], Sequence[str]],
    *,
    names: tuple[str, str],
    part: str,
) -> ModelComparison | None:
    """Compare the predictions of two runs, images matched by content and classes by name.

    Args:
        predictions: of the first and of the second run; None where a run has none.
        class_names: of the two runs, in the order of their outputs.
        names: of the two runs.
        part: of the images.

    Returns:
        None where the two have no predictions on the same images and classes.
    """
    first, second = predictions
    if first is None or second is None or sorted(class_names[0]) != sorted(class_names[1]):
        return None
    if set(first.sha256) != set(second.sha256) or len(first.sha256) != len(second.sha256):
        return None
    import numpy as np

    from pipelines.evaluation.comparison import compare_models

    # Identical images have identical predictions, so either of them stands for both.
    row_of = {sha256: row for row, sha256 in enumerate(first.sha256)}
    rows = [row_of[sha256] for sha256 in second.sha256]
    column_of = {name: column for column, name in enumerate(class_names[0])}
    aligned = first.probabilities[np.ix_(rows, [column_of[name] for name in class_names[1]])]
    return compare_models(aligned, second.probabilities, second.labels, names=names, part=part)


def measure_speed(folder: str) -> tuple[int, float]:
    """Parameters of a run's model, and the images per second that it predicts in batches on this machine."""
    import numpy as np

    model, manifest = load_run(folder)
    pixels = np.full((BATCH, manifest.image_size, manifest.image_size, 3), 127.0, np.float32)
    model.predict_on_batch(pixels)  # The first batch is traced.
    return int(model.count_params()), round(BATCH / float(np.median(_batch_seconds(model, pixels))), 1)


def _batch_seconds(model: keras.Model, pixels: Pixels) -> list[float]:
    seconds: list[float] = []
    while sum(seconds) < SPEED_SECONDS and len(seconds) < SPEED_BATCHES:
        began = time.monotonic()
        model.predict_on_batch(pixels)
        seconds.append(time.monotonic() - began)
    return seconds


def _row(
    folder: str,
    manifest: Manifest,
    part: Split,
    difference: ModelComparison | None,
    parameters: int | None,
    rate: float | None,
) -> ComparedRun:
    scores = manifest.metrics[part]
    num_members = len(manifest.members)
    return ComparedRun(
        run=folder,
        backbone=f"{num_members} members" if num_members else manifest.backbone.name,
        trained=trained_layers(manifest),
        parameters=parameters,
        images=scores.images,
        part=part,
        accuracy=scores.accuracy,
        accuracy_interval=scores.accuracy_interval,
        log_loss=scores.log_loss,
        log_loss_interval=scores.log_loss_interval,
        seconds=round(sum(manifest.seconds.values()), 2),
        images_per_second=rate,
        size=sum(path.stat().st_size for path in model_files(Path(folder), manifest)),
        accuracy_difference=difference.accuracy if difference else None,
        log_loss_difference=difference.log_loss if difference else None,
    )
