"""The whole job once, offline, on data that comes with scikit-learn: 1,797 handwritten digits of 8x8 pixels.

    headstart demo

A small network learns the digits 0 to 4 from scratch. Then only 20 pictures of each of the digits 5 to 9 are given:
once to a new head on that network's frozen base, once to the same network from scratch. What differs is the head start.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from models.machine_errors import full_disk
from pipelines.evaluate import evaluate
from pipelines.export import export
from pipelines.predict import predict
from pipelines.runs.folder import place_of_run
from pipelines.runs.manifest import Manifest
from pipelines.runs.ownership import SYSTEM_FILES, foreign_files, holds_nothing, is_proven
from pipelines.runs.replacement import places_of
from pipelines.runs.spec import DataSpec, FitSpec, HeadSpec, NetworkSpec, TrainSpec
from pipelines.system.lock import is_locked, lock_folder
from pipelines.system.progress import Reporter
from pipelines.system.text import name_list
from pipelines.train import train

if TYPE_CHECKING:
    from pipelines.export import Exported
    from pipelines.inference.prediction_rows import Prediction
    from pipelines.runs.report import Report

BACKBONE = "small_cnn"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RUNS = ("zero-to-four", "five-to-nine", "five-to-nine-from-scratch")
# What a demo writes besides its runs, relative to its folder.
FOLDER = re.compile(
    rf"runs|digits(/zero-to-four|/five-to-nine(/train|/validation|/test)?)?(/({'|'.join(NAMES)}))?"
    r"|exported(/\d+(/assets|/variables)?|/\.export-\w+(/.+)?)?"
)
FILE = re.compile(
    rf"digits/(zero-to-four|five-to-nine/(train|validation|test))/({'|'.join(NAMES)})/digit-\d{{4}}\.png"
    r"|exported/(\d+/(saved_model\.pb|fingerprint\.pb|variables/variables\.[\w.-]+)|\.export-\w+/.+)"
)
NUM_TRAIN, NUM_VALIDATION = 15, 5  # the 20 pictures a class of the second task


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo shows.

    Attributes:
        first: the run on the digits 0 to 4.
        transfer: the report on the test digits 5 to 9 of the new head on the frozen base.
        scratch: likewise of the same network from scratch.
        transfer_seconds: that the training of the new head took.
        scratch_seconds: likewise from scratch.
        prediction: of one test picture.
        truth: what is on that picture.
        exported: the SavedModel and how it agrees with the run.
        folder: where everything was written.
        seconds: of the whole demo.
    """

    first: Manifest
    transfer: Report
    scratch: Report
    transfer_seconds: float
    scratch_seconds: float
    prediction: Prediction
    truth: str
    exported: Exported
    folder: Path
    seconds: float


def demo(out: str, *, force: bool, reporter: Reporter) -> Demo:
    """Run the demo in the folder `out`, with the same verbs that the commands call.

    Raises:
        UserError: `out` is there and `force` is not given, or it holds files that no demo wrote.
    """
    started = time.monotonic()
    folder = _open_folder(place_of_run(out), force=force)

    reporter.note("1/5  writing 1,797 handwritten digits as image folders")
    first, second = _write_digits(folder)

    reporter.note(f"2/5  the digits 0 to 4: {BACKBONE} learns from scratch")
    base = str(folder / "runs" / "zero-to-four")
    small_cnn = NetworkSpec(backbone=BACKBONE, weights="none")
    fit = FitSpec(epochs=12, patience=6)
    learned = train(
        TrainSpec(out=base, data=DataSpec(path=str(first)), network=small_cnn, fit=fit), force=force, reporter=reporter
    )

    reporter.note("3/5  the digits 5 to 9, 20 pictures a class: a new head on that frozen base")
    transfer = str(folder / "runs" / "five-to-nine")
    head = train(
        TrainSpec(
            out=transfer,
            data=DataSpec(path=str(second)),
            network=NetworkSpec(backbone=base),
            head=HeadSpec(pooling="flatten"),
        ),
        force=force,
        reporter=reporter,
    )

    reporter.note("4/5  the same 20 pictures a class: the same network from scratch")
    scratch = str(folder / "runs" / "five-to-nine-from-scratch")
    whole = train(
        TrainSpec(
            out=scratch,
            data=DataSpec(path=str(second)),
            network=small_cnn,
            fit=FitSpec(epochs=60, patience=20, batch=16),
        ),
        force=force,
        reporter=reporter,
    )

    reporter.note("5/5  judging both on the other pictures, predicting one, exporting a SavedModel")
    picture = min((second / "test" / "seven").iterdir())
    return Demo(
        first=learned,
        transfer=evaluate(transfer, str(second), split="test", reporter=reporter).report,
        scratch=evaluate(scratch, str(second), split="test", reporter=reporter).report,
        transfer_seconds=sum(head.seconds.values()),
        scratch_seconds=sum(whole.seconds.values()),
        prediction=next(predict(transfer, [str(picture)], top_k=3)[1]),
        truth="seven",
        exported=_replace_export(transfer, folder / "exported", reporter),
        folder=folder,
        seconds=time.monotonic() - started,
    )


def _open_folder(folder: Path, *, force: bool) -> Path:
    """Make the demo's folder, or check that an earlier demo in it may be replaced piece by piece.

    The runs' records name the images' folder, so that the demo is not made elsewhere and moved: each run is replaced
    when its new one is complete, as `train --force` does, and the images are the same ones in every demo.
    """
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise UserError(
                f"`{folder}` is there already", "choose another --out, or replace an earlier demo with --force"
            )
        foreign = sorted(str(path.relative_to(folder)) for path in _foreign_files(folder))
        if foreign:
            raise UserError(
                f"`{folder}` holds files that the demo did not write: {name_list(foreign)}",
                "move them away, or choose another --out",
            )
        for place in (place for name in RUNS for place in places_of(folder / "runs" / name)):
            if is_locked(place):
                lock_folder(place)  # refuses it, and names its owner
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise full_disk(error, folder) or UserError(
            f"`{folder}` cannot be written: {error.strerror}", "choose another --out"
        ) from error
    return folder


def _foreign_files(folder: Path) -> Iterator[Path]:
    """What lies in the folder of a demo that neither a demo nor a file manager wrote."""
    runs = [place for name in RUNS for place in places_of(folder / "runs" / name)]
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if any(path.is_relative_to(run) for run in runs) or (path.name in SYSTEM_FILES and path.is_file()):
            continue
        if path.is_symlink() or not (FOLDER if path.is_dir() else FILE).fullmatch(name):
            yield path
    for run in runs:
        if run.is_symlink() or (run.exists() and not run.is_dir()):
            yield run
        elif run.is_dir() and not holds_nothing(run):
            yield from (run / name for name in foreign_files(run)) if is_proven(run) else [run]


def _replace_export(run: str, folder: Path, reporter: Reporter) -> Exported:
    """Export a SavedModel, and delete those of earlier demos once it is in its place."""
    earlier = sorted(folder.iterdir()) if folder.is_dir() else []
    exported = export(run, str(folder), formats=("savedmodel",), reporter=reporter)[0]
    for path in earlier:
        if path.name.isdecimal():
            shutil.rmtree(path)
    return exported


def _write_digits(folder: Path) -> tuple[Path, Path]:
    """Write the digits as PNG files; the digits 5 to 9 in three parts, 20 pictures a class to learn from."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    first, second = folder / "digits" / "zero-to-four", folder / "digits" / "five-to-nine"
    seen: dict[int, int] = {}
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        count = seen[label] = seen.get(label, -1) + 1
        place = first / NAMES[label] if label < 5 else second / _part_of(count) / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        grey = np.round(pixels * 255 / 16).astype(np.uint8)
        stream, file = BytesIO(), place / f"digit-{number:04}.png"
        Image.fromarray(grey).resize((32, 32), Image.Resampling.BICUBIC).save(stream, "PNG")
        if not file.exists() or file.read_bytes() != stream.getvalue():
            file.write_bytes(stream.getvalue())
    return first, second


def _part_of(count: int) -> str:
    """The part of a picture of a class, of which `count` came before it."""
    return "train" if count < NUM_TRAIN else "validation" if count < NUM_TRAIN + NUM_VALIDATION else "test"
