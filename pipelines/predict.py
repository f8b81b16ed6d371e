"""The story of a prediction: any number of inputs, one row an input, in their order, in bounded memory.

headstart predict runs/photos holiday/ --format csv
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.machine import cores
from pipelines.inference.compiled import Call, folded_call, plain_call
from pipelines.inference.inputs import Input, Loaded, expand, load
from pipelines.inference.prediction_rows import Prediction
from pipelines.inference.test_time import require
from pipelines.runs.manifest import read_manifest
from pipelines.runs.models import load_run
from pipelines.system.progress import Reporter, Silent

Floats = NDArray[np.float32]
BATCH = 32
# From so many pictures on, building a faster graph takes less time than it saves.
MANY = 2000


def predict(
    run: str,
    paths: Iterable[str],
    *,
    top_k: int = 5,
    tta: str | None = None,
    members: bool = False,
    stdin: BinaryIO | None = None,
    reporter: Reporter | None = None,
) -> tuple[tuple[str, ...], Iterator[Prediction]]:
    """Say what a run sees on pictures: the saved model, in float32, as a faster graph where there are many.

    Args:
        run: folder of a complete run.
        paths: files, folders, lists; `-` for a list on `stdin`.
        top_k: how many classes a row lists, at most.
        tta: views to average over (see `pipelines.inference.test_time`); None for the image as it is.
        members: list what each member of an ensemble says.
        stdin: where `-` reads.
        reporter: shown a progress bar.

    Returns:
        The run's classes, and one row an input in input order, made as they are asked for.

    Raises:
        UserError: there is no complete run in `run`, its members are asked for and it has none, or unknown views.
    """
    if tta is not None:
        require(tta)
    if members and not read_manifest(run).members:
        raise UserError(f"`{run}` has no members: it is a single model", "leave --members away")
    named = list(paths)
    model, manifest = load_run(run)
    say, joined = reporter or Silent(), bool(manifest.members)
    inputs = expand(named, stdin)
    many, inputs = (False, inputs) if any(map(_is_stream, named)) else _many(inputs)
    call = plain_call(model, tta, members=joined)
    if many and tta is None:
        call = folded_call(model, call, members=joined, batch=BATCH, reporter=say)
    rows = predictions(
        call,
        inputs,
        manifest.class_names,
        read=partial(load, size=manifest.image_size),
        top_k=top_k,
        members=tuple(manifest.extra["order"]) if members else (),
    )
    return manifest.class_names, _told(rows, say)


def _is_stream(path: str) -> bool:
    """Whether it is a list that may still be being written: it is answered as it comes."""
    return path == "-" or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def _many(inputs: Iterator[Input]) -> tuple[bool, Iterator[Input]]:
    """Whether there are `MANY` of them, and all of them."""
    first = list(islice(inputs, MANY))
    return len(first) == MANY, chain(first, inputs)


def _told(rows: Iterable[Prediction], reporter: Reporter) -> Iterator[Prediction]:
    with reporter.task("predict", None) as task:
        for row in rows:
            yield row
            task.advance()


def predictions(
    call: Call,
    inputs: Iterable[Input],
    class_names: Sequence[str],
    *,
    read: Callable[[Input], Loaded],
    top_k: int = 5,
    members: Sequence[str] = (),
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[Prediction]:
    """Predict every input; files are read and decoded in threads ahead of the model.

    At most three batches of pixels are in memory, and at most two batches of inputs are taken from `inputs` before
    the first row comes out.

    Args:
        call: pixels (n, size, size, 3) float32 in [0, 255] -> probabilities (n, classes), for any n up to `batch`;
            of an ensemble these and its members' (n, members, classes).
        inputs: from `pipelines.inference.inputs.expand`.
        class_names: (classes,) in the order of the model's outputs.
        read: turns an input into pixels; called in threads.
        top_k: how many classes a row lists, at most.
        members: names of an ensemble's members, to list what each says.
        batch: images a call.
        workers: threads; None for one a core, at most 16.

    Yields:
        One row an input, in the order of the inputs; an unreadable one in its place.

    Raises:
        UserError: the model answers with something that is no number.
    """
    waiting: list[Loaded] = []
    ready = 0
    for loaded in _ahead(inputs, read, ahead=2 * batch, workers=workers or min(16, cores())):
        waiting.append(loaded)
        ready += loaded.pixels is not None
        # Rows of unreadable files wait for the model too; very many of them must not pile up.
        if ready == batch or len(waiting) >= 4 * batch:
            yield from _answers(call, waiting, class_names, top_k, members)
            waiting, ready = [], 0
    yield from _answers(call, waiting, class_names, top_k, members)


def _ahead(inputs: Iterable[Input], read: Callable[[Input], Loaded], *, ahead: int, workers: int) -> Iterator[Loaded]:
    """What `read` makes of the inputs, in their order, with at most `ahead` of them under way."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    under_way: deque[Future[Loaded]] = deque()
    try:
        for each in inputs:
            under_way.append(pool.submit(read, each))
            if len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        # Also when the reader of the rows goes away, or Ctrl-C: what has not begun is not begun.
        pool.shutdown(wait=True, cancel_futures=True)


def _answers(
    call: Call, waiting: Sequence[Loaded], class_names: Sequence[str], top_k: int, members: Sequence[str]
) -> Iterator[Prediction]:
    pixels = [each.pixels for each in waiting if each.pixels is not None]
    rows = iter(_probabilities(call, np.stack(pixels)) if pixels else ())
    for each in waiting:
        if each.pixels is None:
            yield Prediction(path=each.path, status="unreadable", reason=each.reason)
        else:
            yield _prediction(each.path, *next(rows), class_names, top_k, members)


def _probabilities(call: Call, pixels: Floats) -> Iterator[tuple[Floats, Floats | None]]:
    """For each image its probabilities (classes,) and, of an ensemble, those of its members (members, classes)."""
    said = call(pixels)
    answers, each_member = said if isinstance(said, tuple) else (said, None)
    found = np.asarray(answers, np.float32)
    if not np.isfinite(found).all():
        raise UserError(
            "the model answers with something that is no number",
            "its training diverged: train it again with a lower --learning-rate",
        )
    return zip(found, [None] * len(found) if each_member is None else each_member, strict=True)


def _prediction(
    path: str,
    probabilities: Floats,
    answers: Floats | None,
    class_names: Sequence[str],
    top_k: int,
    members: Sequence[str],
) -> Prediction:
    # Stable: of equally probable classes the first comes first, as with argmax.
    best = np.argsort(-probabilities, kind="stable")[: max(1, top_k)]
    listed = tuple((class_names[place], _shortest(probabilities[place])) for place in best)
    label, probability = listed[0]
    logarithms = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    agreement, said = None, []
    if answers is not None:
        winners = answers.argmax(1)
        agreement = float((winners == best[0]).mean())
        said = [class_names[place] for place in winners]
    return Prediction(
        path=path,
        status="ok",
        label=label,
        probability=probability,
        top_k=listed,
        agreement=agreement,
        entropy=_shortest(np.maximum(-(probabilities * logarithms).sum(), np.float32(0))),
        members=tuple(
            (name, class_name, _shortest(shares.max()))
            for name, class_name, shares in (zip(members, said, answers, strict=True) if members else ())  # type: ignore[arg-type]
        ),
    )


def _shortest(value: np.float32) -> float:
    """The shortest decimal that is the same single-precision number: 0.934, not 0.9340000152587891."""
    return float(str(value))
