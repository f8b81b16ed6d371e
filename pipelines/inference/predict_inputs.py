"""Predicts inputs one row each, in order and bounded memory; threads read and decode ahead of the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from models.arrays import Pixels, Probabilities
from models.errors import UserError
from models.machine import count_cores
from pipelines.inference.compiled import Predict
from pipelines.inference.decisions import NO_DECISIONS, Decisions
from pipelines.inference.inputs import Input, Loaded
from pipelines.inference.prediction import Prediction

BATCH = 32
MAX_THREADS = 16
Read = TypeVar("Read")  # what an input becomes


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContents:
    """What a prediction row lists.

    Attributes:
        class_names: (classes,) in the order of the model's outputs.
        top_k: number of classes, at most.
        members: names of an ensemble's members whose predictions are listed; empty for none.
        has_scores: whether the probability of every class is listed.
        decisions: what is made of the probabilities.
    """

    class_names: Sequence[str]
    top_k: int = 5
    members: Sequence[str] = ()
    has_scores: bool = False
    decisions: Decisions = NO_DECISIONS


def predict_inputs(
    predict: Predict,
    inputs: Iterable[Input],
    contents: RowContents,
    *,
    read: Callable[[Input], Loaded],
    batch: int = BATCH,
    workers: int | None = None,
) -> Generator[Prediction, None, None]:
    """Predict every input.

    At most three batches of pixels are in memory, and at most two batches of inputs are taken from `inputs` before
    the first row comes out.

    Args:
        predict: the compiled model, for any number of images up to `batch`.
        inputs: from `pipelines.inference.inputs.expand`.
        contents: what a row lists.
        read: decodes an input to pixels; called in threads.
        batch: images per call of `predict`.
        workers: threads; None for one per core, at most 16.

    Yields:
        One row per input, in the order of the inputs, unreadable ones included.

    Raises:
        UserError: the model's probabilities are not finite.
    """
    waiting: list[Loaded] = []
    num_readable = 0
    num_threads = workers or min(MAX_THREADS, count_cores())
    for loaded in read_ahead(inputs, read, ahead=2 * batch, num_threads=num_threads):
        waiting.append(loaded)
        num_readable += loaded.pixels is not None
        # Rows of unreadable files wait for the model too; very many of them must not pile up.
        if num_readable == batch or len(waiting) >= 4 * batch:
            yield from _predict_batch(predict, waiting, contents)
            waiting, num_readable = [], 0
    yield from _predict_batch(predict, waiting, contents)


def read_ahead(
    inputs: Iterable[Input], read: Callable[[Input], Read], *, ahead: int, num_threads: int
) -> Iterator[Read]:
    """`read` of each input, in order, with at most `ahead` of them submitted."""
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="read")
    submitted: deque[Future[Read]] = deque()
    try:
        for source in inputs:
            submitted.append(pool.submit(read, source))
            if len(submitted) >= ahead:
                yield submitted.popleft().result()
        while submitted:
            yield submitted.popleft().result()
    finally:
        # Also when the reader of the rows goes away, or Ctrl-C: what has not begun is cancelled.
        pool.shutdown(wait=True, cancel_futures=True)


def _predict_batch(predict: Predict, waiting: Sequence[Loaded], contents: RowContents) -> Iterator[Prediction]:
    pixels = [loaded.pixels for loaded in waiting if loaded.pixels is not None]
    outputs = iter(_outputs_by_image(predict, np.stack(pixels)) if pixels else ())
    for loaded in waiting:
        if loaded.pixels is None:
            yield Prediction(path=loaded.path, status=loaded.status, reason=loaded.reason)
        else:
            probabilities, of_members = next(outputs)
            yield _row(loaded.path, probabilities, of_members, contents)


def _outputs_by_image(predict: Predict, pixels: Pixels) -> Iterator[tuple[Probabilities, Probabilities | None]]:
    """For each image its probabilities (classes,) and, of an ensemble, those of its members (members, classes)."""
    outputs = predict(pixels)
    of_model, of_members = outputs if isinstance(outputs, tuple) else (outputs, None)
    probabilities = np.asarray(of_model, np.float32)
    if not np.isfinite(probabilities).all():
        raise UserError(
            "the model's probabilities are not finite",
            "its training diverged: train it again with a lower --learning-rate",
        )
    return zip(probabilities, [None] * len(probabilities) if of_members is None else of_members, strict=True)


def _row(
    path: str, probabilities: Probabilities, of_members: Probabilities | None, contents: RowContents
) -> Prediction:
    # Stable: of equally probable classes the first comes first, as with argmax.
    best = np.argsort(-probabilities, kind="stable")[: max(1, contents.top_k)]
    top_k = tuple((contents.class_names[column], _shortest(probabilities[column])) for column in best)
    answer, expected_cost = int(best[0]), None
    if contents.decisions.costs is not None:
        answer, expected_cost = contents.decisions.costs.choose(probabilities)
    return Prediction(
        path=path,
        status="ok",
        label=contents.class_names[answer],
        probability=_shortest(probabilities[answer]),
        top_k=top_k,
        agreement=None if of_members is None else float((of_members.argmax(1) == best[0]).mean()),
        entropy=_entropy(probabilities),
        members=() if of_members is None else _member_predictions(of_members, contents),
        scores=tuple(map(_shortest, probabilities)) if contents.has_scores else (),
        possible=_possible(probabilities, contents),
        expected_cost=expected_cost,
    )


def _possible(probabilities: Probabilities, contents: RowContents) -> tuple[str, ...] | None:
    """The set of classes for a coverage, most probable first; None where none was asked for."""
    if contents.decisions.sets is None:
        return None
    (held,) = contents.decisions.sets.holds(probabilities[None])
    order = np.argsort(-probabilities, kind="stable")
    return tuple(contents.class_names[column] for column in order if held[column])


def _member_predictions(of_members: Probabilities, contents: RowContents) -> tuple[tuple[str, str, float], ...]:
    """(member, class, probability) of those members that are listed: all of them or none."""
    if not contents.members:
        return ()
    return tuple(
        (name, contents.class_names[probabilities.argmax()], _shortest(probabilities.max()))
        for name, probabilities in zip(contents.members, of_members, strict=True)
    )


def _entropy(probabilities: Probabilities) -> float:
    """Of probabilities (classes,), nats."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return _shortest(np.maximum(-(probabilities * logs).sum(), np.float32(0)))


def _shortest(value: np.float32) -> float:
    """The shortest decimal that is the same single-precision number: 0.934, not 0.9340000152587891."""
    return float(str(value))
