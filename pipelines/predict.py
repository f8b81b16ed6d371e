"""Predicts any number of images with a run, one row per input, in order, in bounded memory.

headstart predict runs/photos holiday/ --format csv
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

from models.errors import UserError
from pipelines.evaluation.conformal import refuse_sets_of_views
from pipelines.inference.compiled import compile_folded, compile_saved
from pipelines.inference.decisions import NO_DECISIONS, Decisions
from pipelines.inference.inputs import STDIN, Input, expand, load
from pipelines.inference.predict_inputs import BATCH, RowContents, predict_inputs
from pipelines.inference.prediction import Columns, Prediction
from pipelines.inference.test_time import require_views, warn_of_needless_views
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.system.progress import Reporter, Silent

# From so many images on, compiling a faster graph takes less time than it saves.
MANY = 2000


def predict(
    run: str,
    paths: Iterable[str],
    *,
    top_k: int = 5,
    tta: str | None = None,
    members: bool = False,
    scores: bool = False,
    decisions: Decisions = NO_DECISIONS,
    stdin: BinaryIO | None = None,
    reporter: Reporter | None = None,
) -> tuple[Columns, Iterator[Prediction]]:
    """Predict images by the saved model, in float32; where there are many, by a faster graph of it.

    Args:
        run: folder of a complete run.
        paths: files, folders, lists; `-` for a list on `stdin`.
        top_k: number of classes of a row, at most.
        tta: views to average over (see `pipelines.inference.test_time`); None for the images as they are.
        members: list the prediction of each member of an ensemble.
        scores: list the probability of every class.
        decisions: sets of classes for a coverage, answers by cost; by default the most probable class alone.
        stdin: the stream of `-`; binary.
        reporter: where progress goes; nowhere by default.

    Returns:
        The columns of the rows, and one row per input in order, computed as they are asked for.

    Raises:
        UserError: `run` is not a complete run, or has no members where they are asked for; unknown views, or views
            beside a coverage.
    """
    if tta is not None:
        require_views(tta)
        refuse_sets_of_views(decisions.sets)
    if members and not read_manifest(run).members:
        raise UserError(f"`{run}` has no members: it is a single model", "leave --members away")
    reporter = reporter or Silent()
    paths = list(paths)
    with reporter.task("loading the run", None):
        model, manifest = load_run(run)
    warn_of_needless_views(tta, manifest, reporter)

    # An ensemble's members always take part: their agreement is in every row.
    is_ensemble = bool(manifest.members)
    is_many, inputs = False, expand(paths, stdin)
    if not any(_is_stream(path) for path in paths):
        is_many, inputs = _count_many(inputs)
    function = compile_saved(model, tta, members=is_ensemble)
    if is_many and tta is None:
        function = compile_folded(model, function, members=is_ensemble, batch=BATCH, reporter=reporter)
    if decisions.sets is not None:
        reporter.note(decisions.sets.line)
    names, listed = manifest.class_names, manifest.order if members else ()
    contents = RowContents(class_names=names, top_k=top_k, members=listed, has_scores=scores, decisions=decisions)
    rows = predict_inputs(function, inputs, contents, read=partial(load, square=manifest.square))
    return _columns(contents, is_ensemble=is_ensemble), _counted(rows, reporter)


def _columns(contents: RowContents, *, is_ensemble: bool) -> Columns:
    return Columns(
        class_names=contents.class_names,
        has_scores=contents.has_scores,
        is_ensemble=is_ensemble,
        members=contents.members,
        has_sets=contents.decisions.sets is not None,
        has_costs=contents.decisions.costs is not None,
    )


def _is_stream(path: str) -> bool:
    """Whether it is a list that may still be being written: its rows must come as its lines do."""
    return path == STDIN or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def _count_many(inputs: Iterator[Input]) -> tuple[bool, Iterator[Input]]:
    """Whether there are at least `MANY` inputs, and all of them."""
    first = list(islice(inputs, MANY))
    return len(first) == MANY, chain(first, inputs)


def _counted(rows: Iterable[Prediction], reporter: Reporter) -> Iterator[Prediction]:
    with reporter.task("predict", None) as task:
        for row in rows:
            yield row
            task.advance()
