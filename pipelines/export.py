"""Exports a run: writes it, loads it where headstart is missing, compares, and only then puts it in its place.

headstart export runs/photos --out exported --format savedmodel
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError, lookup
from models.export import EXPORTERS, Exporter, Preprocessing
from models.machine_errors import full_disk
from pipelines.inference.parity import Parity, compare_outputs, predict_in_fresh_process, predict_on_cpu
from pipelines.inference.sample_images import images_of_run, read_sample, read_samples
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.report import Json
from pipelines.runs.square import Fit
from pipelines.system.progress import Reporter, Silent
from pipelines.system.temporary import temporary_folder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One export, and how its probabilities compare with those of its run.

    Attributes:
        format: a name of `models.export.EXPORTERS`.
        path: the folder or file.
        images: how many real images were compared.
        max_difference: greatest absolute difference of a probability.
        top1_agreement: share of images with the same most probable class, in [0, 1].
        bytes: size on disk.
        seconds: to write, load again and compare.
        signatures: what it can be asked, for people.
    """

    format: str
    path: Path
    images: int
    max_difference: float
    top1_agreement: float
    bytes: int
    seconds: float
    signatures: tuple[str, ...]

    def to_json(self) -> Json:
        """What `export --json` prints of it."""
        return {**asdict(self), "path": str(self.path), "signatures": list(self.signatures)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An export in a temporary place whose probabilities are those of its run."""

    format: str
    exporter: Exporter
    path: Path
    parity: Parity
    seconds: float


def export(
    run: str,
    out: str,
    *,
    formats: Sequence[str] = ("savedmodel",),
    images: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> list[Exported]:
    """Export a run in one or more formats.

    Args:
        run: the run's folder.
        out: the folder that gets `<version>/` (SavedModel, the next free number) and `model.keras`; made if need be.
        formats: names of `EXPORTERS`.
        images: files to compare on; some of the run's own when empty.
        reporter: where progress goes; nowhere by default.

    Returns:
        One record per format, in the order asked for.

    Raises:
        UserError: no such run or format, no readable image to compare on, or a place that cannot be written; with
            exit code 3 when an export differs from its run. Nothing is left behind then.
    """
    exporters = {name: lookup(EXPORTERS, name, "export format") for name in formats}
    manifest = read_manifest(run)
    _require_free(Path(out), exporters)
    reporter = reporter or Silent()
    with reporter.task("loading the run", None):
        contents = [read_sample(path) for path in images] or read_samples(images_of_run(run, manifest))
        model, _ = load_run(run)
    return export_model(model, manifest.class_names, contents, out, exporters, fit=manifest.fit, reporter=reporter)


def export_model(
    model: keras.Model,
    class_names: Sequence[str],
    contents: Sequence[bytes],
    out: str,
    exporters: Mapping[str, Exporter],
    *,
    fit: Fit,
    reporter: Reporter | None = None,
) -> list[Exported]:
    """Export a model; all formats or none.

    Args:
        model: pixels (batch, side, side, 3) in [0, 255] -> probabilities (batch, classes).
        class_names: in the order of the outputs.
        contents: of the image files to compare on, as `readable_bytes` gives them.
        out: as for `export`.
        exporters: by the names of their formats.
        fit: how an image is fitted to the square.
        reporter: where progress goes; nowhere by default.

    Raises:
        UserError: as for `export`.
    """
    from pipelines.images.decode import decode_resized
    from pipelines.images.resize import resize

    folder, reporter = Path(out), reporter or Silent()
    _require_free(folder, exporters)
    side = int(model.input_shape[1])
    preprocessing = Preprocessing(decode=partial(decode_resized, fit=fit), resize=partial(resize, fit=fit))
    with reporter.task("predicting", None):
        pixels = np.stack([np.asarray(preprocessing.decode(content, side)) for content in contents])
        expected = predict_on_cpu(model, pixels)
    checked = []
    with _temporary_folder(folder) as temporary, reporter.task("export", 2 * len(exporters)) as task:
        for name, exporter in exporters.items():
            began, path = time.monotonic(), temporary / f"{name}.keras"
            exporter.save(model, path, class_names, preprocessing)
            task.advance(format=name)
            outputs = predict_in_fresh_process(name, exporter, path, contents, pixels)
            parity = compare_outputs(name, outputs, expected, class_names)
            task.advance(format=name)
            seconds = time.monotonic() - began
            checked.append(Checked(format=name, exporter=exporter, path=path, parity=parity, seconds=seconds))
        # All of them agree with the model: now they get their places.
        return [_put_in_place(export, folder, num_images=len(contents)) for export in checked]


def _require_free(folder: Path, exporters: Mapping[str, Exporter]) -> None:
    """Check that the exports can go into a folder.

    Raises:
        UserError: it is a file, or has a file of that name.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`{folder}` is a file, not a folder", "choose another --out")
    for exporter in exporters.values():
        if exporter.filename and (folder / exporter.filename).exists():
            raise UserError(f"`{folder / exporter.filename}` is there already", "choose another --out, or delete it")


@contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, removed at the end, with `folder` itself if that is new and empty."""
    is_new = not folder.exists()
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(temporary_folder(".export-", folder))
        except OSError as error:
            raise full_disk(error, folder) or UserError(
                f"`{folder}` cannot be written: {error.strerror}", "choose another --out"
            ) from error
        try:
            yield temporary
        finally:
            stack.close()
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


def _put_in_place(export: Checked, folder: Path, *, num_images: int) -> Exported:
    """Move an export to its place in a folder on the same disk, atomically."""
    size = _size(export.path)
    if export.exporter.is_versioned:
        path = _move_to_next_version(export.path, folder)
    else:
        path = export.path.rename(folder / export.exporter.filename)
    return Exported(
        format=export.format,
        path=path,
        images=num_images,
        max_difference=export.parity.max_difference,
        top1_agreement=export.parity.top1_agreement,
        bytes=size,
        seconds=export.seconds,
        signatures=export.exporter.signatures,
    )


def _move_to_next_version(path: Path, folder: Path) -> Path:
    while True:
        names = [entry.name for entry in folder.iterdir()]
        versions = [int(name) for name in names if name.isascii() and name.isdecimal()]
        place = folder / str(max(versions, default=0) + 1)
        try:
            return path.rename(place)
        except OSError:
            # Another export took the number at this moment.
            if not place.exists():
                raise


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
