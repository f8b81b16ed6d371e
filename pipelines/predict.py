"""The story of a prediction: any number of inputs, one row an input, in their order, in bounded memory.

    headstart predict runs/photos holiday/ --format csv
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError
from pipelines import runs
from pipelines.inputs import Input, Loaded, expand, load
from pipelines.progress import Reporter, Silent
from pipelines.rows import Prediction

Floats = NDArray[np.float32]
Call = Callable[[Floats], ArrayLike]


def predict(
    run: str,
    paths: Iterable[str],
    *,
    top_k: int = 5,
    stdin: BinaryIO | None = None,
    reporter: Reporter | None = None,
) -> tuple[tuple[str, ...], Iterator[Prediction]]:
    """Say what a run sees on pictures: the saved model, in float32.

    Args:
        run: folder of a complete run.
        paths: files, folders, lists; `-` for a list on `stdin`.
        top_k: how many classes a row lists, at most.
        stdin: where `-` reads.
        reporter: shown a progress bar.

    Returns:
        The run's classes, and one row an input in input order, made as they are asked for.

    Raises:
        UserError: there is no complete run in `run`.
    """
    model, manifest = runs.load(run)
    import tensorflow as tf

    call = tf.function(
        lambda pixels: model(pixels, training=False),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)],
    )
    rows = predictions(
        lambda pixels: call(pixels).numpy(),
        expand(paths, stdin),
        manifest.class_names,
        read=partial(load, size=manifest.image_size),
        top_k=top_k,
    )
    return manifest.class_names, _told(rows, reporter or Silent())


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
    batch: int = 32,
    workers: int | None = None,
) -> Iterator[Prediction]:
    """Predict every input; files are read and decoded in threads ahead of the model.

    At most three batches of pixels are in memory, and at most two batches of inputs are taken from `inputs` before
    the first row comes out.

    Args:
        call: pixels (n, size, size, 3) float32 in [0, 255] -> probabilities (n, classes), for any n up to `batch`.
        inputs: from `pipelines.inputs.expand`.
        class_names: (classes,) in the order of the model's outputs.
        read: turns an input into pixels; called in threads.
        top_k: how many classes a row lists, at most.
        batch: images a call.
        workers: threads; None for one a core, at most 16.

    Yields:
        One row an input, in the order of the inputs; an unreadable one in its place.

    Raises:
        UserError: the model answers with something that is no number.
    """
    waiting: list[Loaded] = []
    ready = 0
    for loaded in _ahead(inputs, read, ahead=2 * batch, workers=workers or min(16, os.cpu_count() or 1)):
        waiting.append(loaded)
        ready += loaded.pixels is not None
        # Rows of unreadable files wait for the model too; very many of them must not pile up.
        if ready == batch or len(waiting) >= 4 * batch:
            yield from _answers(call, waiting, class_names, top_k)
            waiting, ready = [], 0
    yield from _answers(call, waiting, class_names, top_k)


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


def _answers(call: Call, waiting: Sequence[Loaded], class_names: Sequence[str], top_k: int) -> Iterator[Prediction]:
    pixels = [each.pixels for each in waiting if each.pixels is not None]
    rows = iter(_probabilities(call, np.stack(pixels)) if pixels else ())
    for each in waiting:
        if each.pixels is None:
            yield Prediction(path=each.path, status="unreadable", reason=each.reason)
        else:
            yield _prediction(each.path, next(rows), class_names, top_k)


def _probabilities(call: Call, pixels: Floats) -> Floats:
    found = np.asarray(call(pixels), np.float32)
    if not np.isfinite(found).all():
        raise UserError(
            "the model answers with something that is no number",
            "its training diverged: train it again with a lower --learning-rate",
        )
    return found


def _prediction(path: str, probabilities: Floats, class_names: Sequence[str], top_k: int) -> Prediction:
    # Stable: of equally probable classes the first comes first, as with argmax.
    best = np.argsort(-probabilities, kind="stable")[: max(1, top_k)]
    # The shortest decimal that is the same single-precision number: 0.934, not 0.9340000152587891.
    listed = tuple((class_names[place], float(str(probabilities[place]))) for place in best)
    label, probability = listed[0]
    return Prediction(path=path, status="ok", label=label, probability=probability, top_k=listed)
