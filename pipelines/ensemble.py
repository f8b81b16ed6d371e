"""The story of combining runs that were trained separately into one.

headstart ensemble runs/a runs/b runs/c --out runs/abc
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError, lookup
from pipelines.ensembles.methods import METHODS
from pipelines.reports.drawing import page_drawer
from pipelines.runs.folder import open_run
from pipelines.runs.layout import SPLIT_FILE
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.split_file import read_split
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import one_line

if TYPE_CHECKING:
    import keras

    from models.arrays import Probabilities
    from pipelines.ensembles.common_images import TrainedRun
    from pipelines.ensembles.member_predictions import Images, MemberPredictions
    from pipelines.runs.ensemble_spec import EnsembleSpec
    from pipelines.runs.examples import Example, Split

FEW_IMAGES = 50
LISTED_CLASSES = 5


def ensemble(
    spec: EnsembleSpec, *, force: bool = False, report: bool = False, reporter: Reporter | None = None
) -> Manifest:
    """Combine runs into one.

    Classes are matched by name. Weights are fitted on images that validated every member (or that it predicted out of
    fold) and trained none.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        report: draw its page.
        reporter: shows notes and progress; nothing by default.

    Raises:
        UserError: a run is damaged or missing, classes do not match, images are fitted to squares in different ways,
            or no image can fit the weights.
    """
    reporter = reporter or Silent()

    # Everything that can be wrong and needs no TensorFlow.
    method = lookup(METHODS, spec.method, "ensemble method")
    runs = _read_runs(spec)
    _require_one_fit(runs)
    class_names = _match_classes(runs, reporter)
    from pipelines.ensembles.common_images import common_images

    images = common_images(runs, class_names)
    if len(images.fitted) < FEW_IMAGES:
        reporter.warn(f"only {len(images.fitted):,} validation images: ensemble weights will be unreliable")
    folder, _ = open_run(spec.out, RunRequest(ensemble=spec), force=force, reporter=reporter)

    # The members' models and predictions, and one model of them.
    from pipelines.ensembles.join import join
    from pipelines.ensembles.joined_run import JoinedRun
    from pipelines.ensembles.member_predictions import EnsembleRequest
    from pipelines.ensembles.selection import Budget

    members = _load_members(runs, images, reporter)
    budget = Budget(latency_ms=spec.max_latency, size_mb=spec.max_size)
    request = EnsembleRequest(method=method, name=spec.method, seed=spec.seed, budget=budget)
    draw = page_drawer(spec.out, reporter) if report else None
    run = JoinedRun(folder=folder, spec=RunRequest(ensemble=spec), data=runs[0].manifest.data, draw=draw)
    return join(members, images, request, run, reporter=reporter)


def _read_runs(spec: EnsembleSpec) -> list[TrainedRun]:
    if len(spec.runs) < 2:
        raise UserError("an ensemble needs at least two runs", "name them: headstart ensemble RUN RUN... --out RUN")
    paths = [os.path.realpath(run) for run in spec.runs]
    twice = next((run for run, path in zip(spec.runs, paths, strict=True) if paths.count(path) > 1), None)
    if twice is not None:
        raise UserError(f"the run `{twice}` is given twice", "name each once")
    if os.path.realpath(spec.out) in paths:
        raise UserError(f"--out `{spec.out}` is one of the runs to combine", "choose another --out")
    return [_read_run(run, name) for run, name in zip(spec.runs, _short_names(spec.runs), strict=True)]


def _read_run(run: str, name: str) -> TrainedRun:
    from pipelines.ensembles.common_images import TrainedRun

    manifest = read_manifest(run)
    examples = read_split(run, manifest.class_names)
    if not examples:
        raise UserError(f"`{run}/{SPLIT_FILE}` is damaged", "train the run again with --force")
    return TrainedRun(run=run, name=name, manifest=manifest, examples=examples)


def _short_names(paths: Sequence[str]) -> list[str]:
    """The last parts of the paths, as many as it takes to tell them apart."""
    parts = [Path(os.path.realpath(path)).parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(path_parts[-count:]) for path_parts in parts]
        if len(set(names)) == len(names):
            break
    return names


def _require_one_fit(runs: Sequence[TrainedRun]) -> None:
    """Refuse runs that see different parts of an image: a joined model is given one square of it."""
    first, *others = runs
    for run in others:
        if run.manifest.fit != first.manifest.fit:
            raise UserError(
                f"`{first.run}` was trained with --fit {first.manifest.fit}, `{run.run}` with --fit {run.manifest.fit}",
                "an ensemble gives its members the same pixels: train all of them with one --fit",
            )


def _match_classes(runs: Sequence[TrainedRun], reporter: Reporter) -> tuple[str, ...]:
    """The classes of the ensemble: in the order of the first run that knows all of them."""
    known = {name for run in runs for name in run.manifest.class_names}
    complete = next((run for run in runs if set(run.manifest.class_names) == known), None)
    if complete is None:
        missing = [f"`{run.run}` lacks {_list_names(known - {*run.manifest.class_names})}" for run in runs]
        raise UserError(
            f"no member knows all {len(known)} classes: {'; '.join(missing)}",
            "combine runs that are trained on the same classes, or add one that is trained on all of them",
        )
    for run in runs:
        known_here = frozenset(run.manifest.class_names)
        unknown = [name for name in complete.manifest.class_names if name not in known_here]
        if unknown:
            reporter.warn(f"`{run.run}` does not know {_list_names(unknown)}: it gives them probability 0")
    return complete.manifest.class_names


def _list_names(names: Iterable[str]) -> str:
    names = sorted(names)
    listed = ", ".join(f"`{one_line(name)}`" for name in names[:LISTED_CLASSES])
    return listed + (" ..." if len(names) > LISTED_CLASSES else "")


def _load_members(runs: Sequence[TrainedRun], images: Images, reporter: Reporter) -> list[MemberPredictions]:
    """Each run's model, and its predictions in the ensemble's classes."""
    from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
    from pipelines.ensembles.weights import align_columns

    backbones: dict[Path, keras.Model] = {}
    members = []
    with reporter.task("members", len(runs)) as task:
        for run in runs:
            column_of = {name: column for column, name in enumerate(run.manifest.class_names)}
            columns = tuple(column_of.get(name) for name in images.class_names)
            model, _ = load_run(run.run, backbones)
            member = LoadedMember(
                name=run.name,
                folder=Path(run.run),
                manifest=run.manifest,
                model=model,
                columns=columns,
                fold=None,
                test=align_columns(_predict(run, "test", images.test, reporter), columns),
            )
            probabilities = align_columns(_predict(run, "validation", images.fitted, reporter), columns)
            members.append(MemberPredictions(name=run.name, models=(member,), probabilities=probabilities))
            task.advance()
    return members


def _predict(run: TrainedRun, part: Split, examples: Sequence[Example], reporter: Reporter) -> Probabilities:
    """A run's probabilities (images, classes) of images, in their order: those it saved, or computed now."""
    import numpy as np

    from pipelines.evaluation.saved_predictions import read_held_out, read_predictions

    saved = read_held_out(run.run) if part == "validation" else read_predictions(run.run, part)
    if saved is not None and (probabilities := saved.of(examples)) is not None:
        return probabilities
    if not examples:
        return np.zeros((0, len(run.manifest.class_names)), np.float32)
    from pipelines.inference.examples import predict_examples

    return predict_examples(run.run, run.manifest, examples, cache=True, reporter=reporter)[0]
