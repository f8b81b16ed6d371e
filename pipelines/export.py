"""Export a run: write it, load it again where headstart is not, compare, and only then give it its place."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError, lookup
from models.export import EXPORTERS, Exporter, Pixels
from pipelines.images.readable import UnreadableImage, readable_bytes
from pipelines.inference.parity import ask_in_fresh_process, compare_outputs, probabilities
from pipelines.runs.folder import read_split
from pipelines.runs.manifest import Manifest, read_manifest
from pipelines.runs.models import load_run
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    import keras

NUM_IMAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One export, and how it agrees with its run.

    Attributes:
        format: a name of `models.export.EXPORTERS`.
        path: the folder or file.
        images: how many real images were compared.
        max_difference: greatest absolute difference of a probability.
        top1_agreement: share of images with the same best class, in [0, 1].
        bytes: size on disk.
        seconds: to write, load again and compare.
        signatures: what it can be asked.
    """

    format: str
    path: Path
    images: int
    max_difference: float
    top1_agreement: float
    bytes: int
    seconds: float
    signatures: tuple[str, ...]


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
        reporter: where progress goes.

    Returns:
        One record a format, in the order asked for.

    Raises:
        UserError: no such run or format, no image to compare on, or a place that cannot be written; with exit code 3
            when an export does not answer as its run does. Nothing is left behind then.
    """
    for name in formats:
        lookup(EXPORTERS, name, "export format")
    manifest = read_manifest(run)
    _require_room(Path(out), formats)
    contents = [_read_given(each) for each in images] or read_samples(_own_images(run, manifest))
    model, _ = load_run(run)
    return export_model(model, manifest.class_names, contents, out, formats=formats, reporter=reporter)


def export_model(
    model: keras.Model,
    class_names: Sequence[str],
    contents: Sequence[bytes],
    out: str,
    *,
    formats: Sequence[str] = ("savedmodel",),
    reporter: Reporter | None = None,
) -> list[Exported]:
    """Export a model; all formats or none.

    Args:
        model: pixels (batch, side, side, 3) in [0, 255] -> probabilities (batch, classes).
        class_names: in the order of the outputs.
        contents: image files to compare on, as `readable_bytes` gives them.
        out: as for `export`.
        formats: names of `EXPORTERS`.
        reporter: where progress goes.

    Raises:
        UserError: as for `export`.
    """
    from pipelines.images.decode import decode_resized
    from pipelines.images.resize import resize

    folder, said = Path(out), reporter or Silent()
    _require_room(folder, formats)
    side = int(model.input_shape[1])
    pixels = np.stack([np.asarray(decode_resized(each, side)) for each in contents])
    expected = probabilities(model, pixels)
    found = []
    with _beside(folder) as temporary, said.task("export", 2 * len(formats)) as task:
        for name in formats:
            started, exporter, path = time.monotonic(), EXPORTERS[name], temporary / f"{name}.keras"
            exporter.save(model, path, class_names, Pixels(decode=decode_resized, resize=resize))
            task.advance(format=name)
            answers = ask_in_fresh_process(name, path, contents, pixels)
            difference, agreement = compare_outputs(name, answers, expected, class_names)
            task.advance(format=name)
            seconds = time.monotonic() - started
            found.append((exporter, path, name, difference, agreement, _size(path), seconds))
        return [
            Exported(
                format=name,
                path=_give_place(path, folder, exporter),
                images=len(contents),
                max_difference=difference,
                top1_agreement=agreement,
                bytes=size,
                seconds=seconds,
                signatures=exporter.signatures,
            )
            for exporter, path, name, difference, agreement, size, seconds in found
        ]


def read_samples(paths: Sequence[str], limit: int = NUM_IMAGES) -> list[bytes]:
    """The contents of the first `limit` readable images of `paths`.

    Raises:
        UserError: none of them is readable.
    """
    contents: list[bytes] = []
    for path in paths:
        if len(contents) == limit:
            break
        try:
            contents.append(readable_bytes(path))
        except UnreadableImage:
            continue
    if not contents:
        raise UserError(
            f"none of {len(paths):,} images to compare the export on can be read"
            + (f": `{paths[0]}`" if paths else ""),
            "an export is only trusted after it answered like its run on real images: name some",
        )
    return contents


def _read_given(path: str) -> bytes:
    try:
        return readable_bytes(path)
    except UnreadableImage as unreadable:
        raise UserError(f"`{path}` cannot be compared on: {unreadable.reason}", "name other images") from unreadable


def _own_images(run: str, manifest: Manifest) -> list[str]:
    """The run's images: validation before test before training, each spread over its length."""
    examples = read_split(run, manifest.class_names)
    order = {"validation": 0, "test": 1, "train": 2}
    parts = [[each.path for each in examples if each.split == part] for part in sorted(order, key=order.__getitem__)]
    spread = []
    for paths in parts:
        step = max(1, len(paths) // NUM_IMAGES)
        spread += [path for start in range(step) for path in paths[start::step]]
    return spread


def _require_room(folder: Path, formats: Sequence[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`{folder}` is a file, not a folder", "choose another --out")
    for name in formats:
        filename = EXPORTERS[name].filename
        if filename and (folder / filename).exists():
            raise UserError(f"`{folder / filename}` is there already", "choose another --out, or delete it")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same disk as `folder`, gone at the end, with `folder` itself if it stayed empty."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
    except OSError as error:
        raise UserError(f"`{folder}` cannot be written: {error.strerror}", "choose another --out") from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def _give_place(path: Path, folder: Path, exporter: Exporter) -> Path:
    """Move a checked export to where it belongs; atomic, on one disk."""
    if not exporter.versioned:
        place = folder / exporter.filename
        path.rename(place)
        return place
    while True:
        taken = [int(each.name) for each in folder.iterdir() if each.name.isascii() and each.name.isdecimal()]
        place = folder / str(max(taken, default=0) + 1)
        try:
            return path.rename(place)
        except OSError:
            # Another export took the number in this moment.
            if not place.exists():
                raise
