"""One row an input, in order, whatever the threads do; bounded memory; a model that fails."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines import predict as predicting
from pipelines.inference.inputs import Input, Loaded
from pipelines.predict import predictions

NAMES = ["cat", "dog", "emu"]


def read(given: Input) -> Loaded:
    """Pixels that say the number in the path; every tenth input is unreadable; in no order of time."""
    number = int(given.path)
    time.sleep(random.random() / 2000)
    if number % 10 == 3:
        return Loaded(given.path, "unreadable", "damaged", None)
    return Loaded(given.path, "ok", "", np.full((2, 2, 3), number, np.float32))


def call(pixels: np.ndarray) -> np.ndarray:
    """The class is the number modulo 3, with probability 0.5."""
    number = pixels[:, 0, 0, 0].astype(int)
    probabilities = np.full((len(pixels), 3), 0.25, np.float32)
    probabilities[np.arange(len(pixels)), number % 3] = 0.5
    return probabilities


def inputs(count: int) -> Iterator[Input]:
    return (Input(str(number)) for number in range(count))


@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_one_row_an_input_in_order(count: int, batch: int) -> None:
    rows = list(predictions(call, inputs(count), NAMES, read=read, batch=batch, workers=8))
    assert [row.path for row in rows] == [str(number) for number in range(count)]
    for number, row in enumerate(rows):
        if number % 10 == 3:
            assert (row.status, row.label, row.probability, row.top_k, row.reason) == (
                "unreadable",
                None,
                None,
                (),
                "damaged",
            )
        else:
            assert (row.status, row.label, row.probability, row.reason) == ("ok", NAMES[number % 3], 0.5, "")


def test_top_k_is_sorted_and_ties_go_to_the_first_class() -> None:
    (row,) = predictions(call, [Input("1")], NAMES, read=read)
    assert row.top_k == (("dog", 0.5), ("cat", 0.25), ("emu", 0.25))
    (row,) = predictions(call, [Input("1")], NAMES, read=read, top_k=2)
    assert row.top_k == (("dog", 0.5), ("cat", 0.25))


def test_probabilities_have_no_digits_that_single_precision_has_not() -> None:
    (row,) = predictions(lambda _: np.array([[0.9, 0.1, 0.0]], np.float32), [Input("1")], NAMES, read=read)
    assert row.probability == 0.9


def test_batches_are_full_but_for_the_last() -> None:
    sizes: list[int] = []

    def counting(pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        return call(pixels)

    list(predictions(counting, inputs(100), NAMES, read=read, batch=8))
    assert sizes == [8] * 11 + [2]  # 90 readable ones


def test_no_more_is_read_than_two_batches_ahead() -> None:
    taken = 0

    def counted() -> Iterator[Input]:
        nonlocal taken
        for each in inputs(100_000):
            taken += 1
            yield each

    rows = predictions(call, counted(), NAMES, read=read, batch=8)
    for _ in range(20):
        next(rows)
    assert taken <= 20 + 8 + 2 * 8 + 8
    rows.close()  # type: ignore[attr-defined]
    assert not [each for each in threading.enumerate() if each.name.startswith("read")]


def test_unreadable_rows_do_not_pile_up() -> None:
    def unreadable(given: Input) -> Loaded:
        return Loaded(given.path, "unreadable", "damaged", None)

    taken = 0

    def endless() -> Iterator[Input]:
        nonlocal taken
        while True:
            taken += 1
            yield Input("x")

    rows = predictions(call, endless(), NAMES, read=unreadable, batch=4)
    assert next(rows).status == "unreadable"
    assert taken <= 24
    rows.close()  # type: ignore[attr-defined]


def test_a_failing_reader_ends_the_run_and_leaves_no_thread() -> None:
    def failing(given: Input) -> Loaded:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(predictions(call, inputs(50), NAMES, read=failing))
    assert not [each for each in threading.enumerate() if each.name.startswith("read")]


def test_a_diverged_model_is_an_error_not_a_label() -> None:
    with pytest.raises(UserError, match="no number"):
        list(predictions(lambda pixels: np.full((len(pixels), 3), np.nan), inputs(2), NAMES, read=read))


def test_many_are_counted_without_losing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "MANY", 4)
    for count, many in ((3, False), (4, True), (9, True)):
        found, each = predicting._many(inputs(count))
        assert found is many
        assert [one.path for one in each] == [str(number) for number in range(count)]


def test_a_list_that_is_still_being_written_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "list.txt").touch()
    streams = {"-": True, str(tmp_path / "pipe"): True, str(tmp_path / "list.txt"): False, str(tmp_path): False}
    assert {path: predicting._is_stream(path) for path in streams} == streams
