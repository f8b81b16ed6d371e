"""Draws which parts of images the score of a class depends on.

headstart explain runs/photos holiday/ --out explained
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from models.errors import UserError, lookup
from models.machine import count_cores
from pipelines.data.outside import require_outside
from pipelines.explanations.methods import DEFAULT, METHODS, Method
from pipelines.explanations.place import INDEX_FILE, open_folder, without_images_in
from pipelines.inference.inputs import expand
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.report import Json
from pipelines.system.files import atomic, write_json
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    from pipelines.explanations.pictures import Picture
    from pipelines.explanations.written import Answer, PictureFiles
    from pipelines.runs.square import Square

GRID_FILE = "explanations.png"
GRID_ROWS = 24
# Pictures that wait for a thread to write them, at most.
MOST_WAITING = 64
PREDICTED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """What was written.

    Attributes:
        folder: that holds it.
        records: a record for each picture, as its JSON file holds it, in the order of the inputs.
        panels: paths of the pictures drawn, in that order.
        grid: path of the picture of several; None where there is one.
        unreadable: (path, reason) of inputs without explanation.
        others: files in folders that are not images.
    """

    folder: Path
    records: tuple[Json, ...]
    panels: tuple[Path, ...]
    grid: Path | None
    unreadable: tuple[tuple[str, str], ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """What is wanted of each picture.

    Attributes:
        methods: names of `METHODS`.
        class_name: the class to explain; None for the predicted one.
        layer: of the method `activations`: name or path of a layer; None for the last map.
    """

    methods: Sequence[str] = (DEFAULT,)
    class_name: str | None = None
    layer: str | None = None


@dataclass(slots=True)
class _Results:
    """What is gathered while pictures are explained."""

    files: list[PictureFiles] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0


def explain(
    run: str,
    paths: Iterable[str],
    out: str,
    request: ExplainRequest | None = None,
    *,
    stdin: BinaryIO | None = None,
    reporter: Reporter | None = None,
) -> Explanations:
    """Explain a class's score on images.

    Args:
        run: folder of a complete run.
        paths: files, folders, lists; `-` for a list on `stdin`.
        out: folder for what is written; made if need be.
        request: what is wanted.
        stdin: the stream of `-`; binary.
        reporter: where progress goes; nowhere by default.

    Raises:
        UserError: not a complete run; an unknown method, class or layer; a folder that cannot be written to.
    """
    request, reporter, paths = request or ExplainRequest(), reporter or Silent(), list(paths)
    methods = _methods(request)
    manifest = read_manifest(run)
    wanted = PREDICTED if request.class_name is None else _class_index(request.class_name, manifest.class_names)
    for path in paths:
        require_outside(path, out, subject="the explanations")
    folder = open_folder(out, run)

    with reporter.task("loading the run", None):
        from pipelines.explanations.batches import build_explainers, explain_batches
        from pipelines.explanations.network import Network
        from pipelines.explanations.pictures import read_pictures
        from pipelines.runs.models import load_run

        network = Network(load_run(run)[0])
    methods, explainers = build_explainers(methods, network, request.layer)
    batches = read_pictures(without_images_in(folder, expand(paths, stdin)), manifest.square)
    answers = explain_batches(batches, explainers, manifest.class_names, wanted)
    results = _write_all(folder, answers, methods, manifest.square, reporter)
    return _indexed(run, folder, results, list(methods))


def _methods(request: ExplainRequest) -> dict[str, Method]:
    methods = {name: lookup(METHODS, name, "method") for name in request.methods}
    if request.layer is not None and not any(method.takes_layer for method in methods.values()):
        raise UserError("--layer is for activations of a layer", "add `--method activations`, or omit it")
    return methods


def _indexed(run: str, folder: Path, results: _Results, methods: Sequence[str]) -> Explanations:
    """Write the index and, of several pictures, the grid."""
    records = tuple(files.record for files in results.files)
    unreadable = [{"path": path, "reason": reason} for path, reason in results.unreadable]
    grid = _draw_grid(folder, results.files, methods) if len(results.files) > 1 else None
    write_json(folder / INDEX_FILE, {"run": run, "pictures": list(records), "unreadable": unreadable})
    return Explanations(
        folder=folder,
        records=records,
        panels=tuple(panel for files in results.files for panel in files.panels),
        grid=grid,
        unreadable=tuple(results.unreadable),
        others=results.others,
    )


def _write_all(
    folder: Path,
    answers: Iterable[tuple[Picture, Answer | None]],
    methods: Mapping[str, Method],
    square: Square,
    reporter: Reporter,
) -> _Results:
    """Write the files of each picture, in threads: the network explains the next batch meanwhile."""
    from pipelines.explanations.written import write_picture

    results, number = _Results(), 0
    writing: deque[Future[PictureFiles]] = deque()

    def finish() -> None:
        files = writing.popleft().result()
        # The grid shows the first ones; the images of the others are let go.
        results.files.append(files if len(results.files) < GRID_ROWS else replace(files, images=()))

    with ThreadPoolExecutor(count_cores(), thread_name_prefix="draw") as pool, reporter.task("explain", None) as task:
        for picture, answer in answers:
            task.advance()
            if answer is None:
                if picture.loaded.status == "unreadable":
                    results.unreadable.append((picture.loaded.path, picture.loaded.reason))
                else:
                    results.others += 1
                continue
            number += 1
            writing.append(pool.submit(write_picture, folder, number, picture, answer, methods=methods, square=square))
            if len(writing) > MOST_WAITING:
                finish()
        while writing:
            finish()
    return results


def _class_index(name: str, class_names: Sequence[str]) -> int:
    """The index of a class, in any Unicode spelling of its name."""
    places = {unicodedata.normalize("NFC", known): place for place, known in enumerate(class_names)}
    places |= {known: place for place, known in enumerate(class_names)}
    return lookup(places, name if name in places else unicodedata.normalize("NFC", name), "class")


def _draw_grid(folder: Path, files: Sequence[PictureFiles], methods: Sequence[str]) -> Path:
    from pipelines.explanations.drawing import draw_grid

    rows = [(one.title, one.images) for one in files[:GRID_ROWS]]
    with atomic(folder / GRID_FILE, suffix=".png") as temporary:
        draw_grid(rows, ["picture", *methods]).save(temporary)
    return folder / GRID_FILE
