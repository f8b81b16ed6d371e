"""One row per input, in order, whatever the threads do; bounded memory; a model that fails."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from models.errors import UserError
from pipelines.inference.inputs import Input, Loaded
from pipelines.inference.predict_inputs import RowContents, predict_inputs

NAMES = ["cat", "dog", "emu"]
ROWS = RowContents(class_names=NAMES)


def read(source: Input) -> Loaded:
    """Pixels equal to the number in the path; one of ten inputs is unreadable; after a random time."""
    number = int(source.path)
    time.sleep(random.random() / 2000)
    if number % 10 == 3:
        return Loaded(source.path, "unreadable", "damaged", None)
    return Loaded(source.path, "ok", "", np.full((2, 2, 3), number, np.float32))


def predict(pixels: np.ndarray) -> np.ndarray:
    """The class is the number modulo 3, with probability 0.5."""
    number = pixels[:, 0, 0, 0].astype(int)
    probabilities = np.full((len(pixels), 3), 0.25, np.float32)
    probabilities[np.arange(len(pixels)), number % 3] = 0.5
    return probabilities


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def inputs(count: int) -> Iterator[Input]:
    return (Input(str(number)) for number in range(count))


@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_one_row_per_input_in_order(count: int, batch: int) -> None:
    rows = list(predict_inputs(predict, inputs(count), ROWS, read=read, batch=batch, workers=8))
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
    (row,) = predict_inputs(predict, [Input("1")], ROWS, read=read)
    assert row.top_k == (("dog", 0.5), ("cat", 0.25), ("emu", 0.25))
    two = RowContents(class_names=NAMES, top_k=2)
    (row,) = predict_inputs(predict, [Input("1")], two, read=read)
    assert row.top_k == (("dog", 0.5), ("cat", 0.25))


def test_probabilities_have_no_more_digits_than_single_precision() -> None:
    (row,) = predict_inputs(lambda _: np.array([[0.9, 0.1, 0.0]], np.float32), [Input("1")], ROWS, read=read)
    assert row.probability == 0.9


def test_batches_are_full_but_for_the_last() -> None:
    sizes: list[int] = []

    def counting(pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        return predict(pixels)

    list(predict_inputs(counting, inputs(100), ROWS, read=read, batch=8))
    assert sizes == [8] * 11 + [2]  # 90 readable ones


def test_no_more_is_read_than_two_batches_ahead() -> None:
    taken = 0

    def counted() -> Iterator[Input]:
        nonlocal taken
        for source in inputs(100_000):
            taken += 1
            yield source

    rows = predict_inputs(predict, counted(), ROWS, read=read, batch=8)
    for _ in range(20):
        next(rows)
    assert taken <= 20 + 8 + 2 * 8 + 8
    rows.close()
    assert not reading_threads()


def test_unreadable_rows_do_not_pile_up() -> None:
    def unreadable(source: Input) -> Loaded:
        return Loaded(source.path, "unreadable", "damaged", None)

    taken = 0

    def endless() -> Iterator[Input]:
        nonlocal taken
        while True:
            taken += 1
            yield Input("x")

    rows = predict_inputs(predict, endless(), ROWS, read=unreadable, batch=4)
    assert next(rows).status == "unreadable"
    assert taken <= 24
    rows.close()


def test_a_failing_reader_ends_the_run_and_leaves_no_thread() -> None:
    def failing(source: Input) -> Loaded:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(predict_inputs(predict, inputs(50), ROWS, read=failing))
    assert not reading_threads()


def test_probabilities_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(UserError, match="not finite"):
        list(predict_inputs(lambda pixels: np.full((len(pixels), 3), np.nan), inputs(2), ROWS, read=read))


def test_rows_of_an_ensemble_have_agreement_entropy_and_its_members() -> None:
    of_members = np.array([[[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.5, 0.25, 0.25], [0.6, 0.4, 0.0]]], np.float32)
    mean = of_members.mean(1)

    def ensemble(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mean, of_members

    (row,) = predict_inputs(ensemble, [Input("1")], ROWS, read=read)
    assert (row.label, row.agreement, row.members) == ("cat", 0.75, ())
    assert row.entropy == pytest.approx(-sum(share * math.log(share) for share in mean[0]), abs=1e-6)
    listed = RowContents(class_names=NAMES, members=("a", "b", "c", "d"))
    (row,) = predict_inputs(ensemble, [Input("1")], listed, read=read)
    assert row.members == (("a", "cat", 0.9), ("b", "dog", 0.7), ("c", "cat", 0.5), ("d", "cat", 0.6))


def test_the_entropy_of_a_certain_prediction_is_zero() -> None:
    (row,) = predict_inputs(lambda _: np.array([[0.0, 1.0, 0.0]], np.float32), [Input("1")], ROWS, read=read)
    assert (row.entropy, row.agreement) == (0.0, None)
