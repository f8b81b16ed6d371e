"""The whole job once, offline, on printed letters: what a trained base is worth where a new task has few images.

    headstart demo

A small network learns the letters A to Z from scratch. Then ten images of each of ten Greek letters are given: once to
a new head on that network's frozen base, once to the same network from scratch. What differs is the head start.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.compare import compare
from pipelines.demonstration.commands import show_command
from pipelines.demonstration.folder import EXPORTED, IMAGES, PICTURE, RUNS, RUNS_FOLDER, delete_old_demo, open_folder
from pipelines.demonstration.letters import GREEK, GREEK_IMAGES, LATIN_IMAGES, write_letters
from pipelines.demonstration.picture import Outcome, draw_demo, first_test_images
from pipelines.evaluate import evaluate
from pipelines.export import export
from pipelines.predict import predict
from pipelines.reports.compared_run import ComparedRun
from pipelines.runs.folder import place_of_run
from pipelines.runs.report import Json
from pipelines.runs.spec import DataSpec, FitSpec, NetworkSpec, TrainSpec
from pipelines.train import train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.export import Exported
    from pipelines.inference.prediction import Prediction
    from pipelines.runs.report import Comparison, Report
    from pipelines.system.progress import Reporter

# Letters are as easy to tell apart at half the size of their images, and a network learns them in a third of the time.
SMALL_CNN = NetworkSpec(backbone="small_cnn", image_size=16)
SMALL_CNN_OPTIONS = ("--backbone", "small_cnn", "--image-size", "16")
TOP_CLASSES = 3  # of the prediction that is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One of the three trainings.

    Attributes:
        title: what it does, for people.
        spec: what is asked for.
        options: of the command that asks for the same, without its data and `--out`.
    """

    title: str
    spec: TrainSpec
    options: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The words of the command after `headstart`."""
        return ("train", self.spec.data.path, *self.options, "--out", self.spec.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo shows.

    Attributes:
        transfer: the new head on the frozen base, on the test images of the Greek letters, compared with `scratch`.
        scratch: the same network from scratch, likewise.
        report: of the new head, on the same test images.
        prediction: of the new head, for one test image.
        truth: the letter on that image.
        exported: the SavedModel and how it agrees with the run.
        picture: the file that shows the images and both accuracies.
        folder: where everything was written.
        seconds: of the whole demo.
    """

    transfer: ComparedRun
    scratch: ComparedRun
    report: Report
    prediction: Prediction
    truth: str
    exported: Exported
    picture: Path
    folder: Path
    seconds: float

    def to_json(self) -> Json:
        """What `demo --json` prints."""
        return {
            "transfer": self.transfer.to_json(),
            "scratch": self.scratch.to_json(),
            "report": self.report.to_json(),
            "exported": self.exported.to_json(),
            "picture": str(self.picture),
            "folder": str(self.folder),
            "seconds": self.seconds,
        }

    @property
    def difference(self) -> Comparison:
        """The accuracy of the new head on the frozen base less that from scratch, paired."""
        assert self.transfer.accuracy_difference is not None, "both were evaluated on the same images"
        return self.transfer.accuracy_difference


def demo(out: str, *, force: bool, reporter: Reporter) -> Demo:
    """Run the demo in the folder `out`, with the same verbs that the commands call.

    Raises:
        UserError: `out` is there and `force` is not given, or it holds files that no demo wrote.
    """
    started = time.monotonic()
    folder = open_folder(place_of_run(out), force=force)
    images = folder / IMAGES

    known = GREEK_IMAGES["train"] + GREEK_IMAGES["validation"]
    reporter.note(f"1/6  drawing images: {LATIN_IMAGES} of each letter from A to Z; of each of {len(GREEK)} Greek")
    reporter.note(f"     letters {known} to learn from, and {GREEK_IMAGES['test']} to test with")
    write_letters(images, reporter)

    trainings = list_trainings(folder)
    for number, training in enumerate(trainings, 2):
        reporter.note(f"{number}/6  {training.title}")
        show_command(training.command, reporter)
        train(training.spec, force=force, reporter=reporter)
    _, transfer, scratch = (training.spec.out for training in trainings)

    reporter.note("5/6  comparing the two on test images, which chose nothing")
    show_command(("compare", scratch, transfer, "--no-speed"), reporter)
    compared = compare([scratch, transfer], speed=False, reporter=reporter)
    greek = str(images / "greek")
    show_command(("evaluate", transfer, greek, "--split", "test"), reporter)
    report = evaluate(transfer, greek, split="test", reporter=reporter).report

    reporter.note("6/6  predicting, and exporting a SavedModel")
    files = [str(images / file) for file in first_test_images()]
    show_command(("predict", transfer, files[0], "--top-k", str(TOP_CLASSES)), reporter)
    predictions = tuple(predict(transfer, files, top_k=TOP_CLASSES, reporter=reporter)[1])
    scratch_predictions = tuple(predict(scratch, files, top_k=1, reporter=reporter)[1])
    show_command(("export", transfer, "--out", str(folder / EXPORTED)), reporter)
    exported = _replace_export(transfer, folder / EXPORTED, reporter)

    result = Demo(
        transfer=compared[1],
        scratch=compared[0],
        report=report,
        prediction=predictions[0],
        truth=next(iter(GREEK)),
        exported=exported,
        picture=folder / PICTURE,
        folder=folder,
        seconds=time.monotonic() - started,
    )
    with reporter.task("drawing the picture", None):
        draw_demo(
            images,
            scratch=_outcome("from scratch", result.scratch, scratch_predictions),
            transfer=_outcome("head start", result.transfer, predictions),
            difference=result.difference,
            path=result.picture,
        )
    delete_old_demo(folder)
    return result


def list_trainings(folder: Path) -> tuple[Training, Training, Training]:
    """The trainings of a demo: the base, the new head on it, and the same network from scratch.

    Args:
        folder: of the demo.
    """
    latin, greek = (DataSpec(path=str(folder / IMAGES / name)) for name in ("latin", "greek"))
    base, transfer, scratch = (str(folder / RUNS_FOLDER / name) for name in RUNS)
    return (
        Training(
            title="the base: a small network learns A to Z from scratch",
            spec=TrainSpec(out=base, data=latin, network=SMALL_CNN, fit=FitSpec(epochs=8)),
            options=(*SMALL_CNN_OPTIONS, "--epochs", "8"),
        ),
        Training(
            title="the head start: Greek letters, a new head on that frozen base",
            spec=TrainSpec(out=transfer, data=greek, network=NetworkSpec(backbone=base)),
            options=("--backbone", base),
        ),
        Training(
            title="without it: the same Greek letters, the same network from scratch",
            spec=TrainSpec(out=scratch, data=greek, network=SMALL_CNN, fit=FitSpec(epochs=40, patience=20, batch=8)),
            options=(*SMALL_CNN_OPTIONS, "--epochs", "40", "--patience", "20", "--batch", "8"),
        ),
    )


def _outcome(name: str, compared: ComparedRun, predictions: Sequence[Prediction]) -> Outcome:
    """What the picture shows of a run."""
    answers = tuple(row.label for row in predictions if row.label is not None)
    assert len(answers) == len(GREEK), "the demo has just written these images"
    return Outcome(
        name=name,
        accuracy=compared.accuracy,
        interval=compared.accuracy_interval,
        answers=answers,
    )


def _replace_export(run: str, folder: Path, reporter: Reporter) -> Exported:
    """Export a SavedModel, and delete those of earlier demos once it is in its place."""
    earlier = sorted(folder.iterdir()) if folder.is_dir() else []
    exported = export(run, str(folder), formats=("savedmodel",), reporter=reporter)[0]
    for path in earlier:
        if path.name.isdecimal():
            shutil.rmtree(path)
    return exported
