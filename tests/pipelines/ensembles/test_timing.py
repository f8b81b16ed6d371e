"""Models are timed in turn: their median, their quartiles, and ratios within a round."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.ensembles import timing
from pipelines.ensembles.timing import (
    FEWEST_ROUNDS,
    MOST_ROUNDS,
    SECONDS,
    TIMED_IMAGES,
    Timing,
    at_least,
    one_after_the_other,
    time_models,
)
from pipelines.runs.leaderboard import Spread
from pipelines.system.progress import Silent

Clock = Callable[[], float]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were called, in order.

    On the clock that is read, model `fast` takes 8 ms a batch and `slow` 24 ms; both take ten times as long in every
    third round.
    """
    names: list[str] = []
    now = 0.0

    def call(model: str) -> Callable[[], None]:
        def run() -> None:
            nonlocal now
            slowdown = 10 if len(names) // 2 % 3 == 2 else 1
            names.append(model)
            now += slowdown * {"fast": 0.008, "slow": 0.024}[model]

        return run

    monkeypatch.setattr(timing, "_call", call)
    monkeypatch.setattr("pipelines.ensembles.timing.time.perf_counter", lambda: now)
    return names


def measured() -> dict[str, Timing]:
    models: dict[str, keras.Model] = {"fast": "fast", "slow": "slow"}
    return time_models(models, Silent())


def test_models_are_timed_in_turn_and_in_changing_order(called: list[str]) -> None:
    measured()
    rounds = [tuple(called[start : start + 2]) for start in range(0, len(called), 2)]
    assert {frozenset(names) for names in rounds} == {frozenset({"fast", "slow"})}
    assert set(rounds) == {("fast", "slow"), ("slow", "fast")}


def test_a_slow_moment_changes_neither_the_median_nor_the_ratio(called: list[str]) -> None:
    times = measured()
    assert times["fast"].spread.median == pytest.approx(8 / TIMED_IMAGES)
    assert times["slow"].spread.median == pytest.approx(24 / TIMED_IMAGES)
    ratio = times["slow"].ratio(times["fast"])
    assert (ratio.median, *ratio.quartiles) == pytest.approx((3.0, 3.0, 3.0))


def test_it_takes_seconds_and_a_limited_number_of_rounds(called: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # A round takes 0.032 s, or 0.32 s: 60 rounds take 7.7 s, so that the limit of seconds ends it.
    count = len(measured()["fast"].rounds)
    assert FEWEST_ROUNDS <= count < MOST_ROUNDS
    assert SECONDS < count * (2 * 0.032 + 0.32) / 3 < SECONDS + 0.5
    monkeypatch.setattr(timing, "SECONDS", 0.01)
    assert len(measured()["fast"].rounds) == FEWEST_ROUNDS
    monkeypatch.setattr(timing, "SECONDS", 1e9)
    assert len(measured()["fast"].rounds) == MOST_ROUNDS


def test_a_real_model_is_called_with_pictures_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    shapes: list[tuple[int, ...]] = []

    class Watching(keras.layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            shapes.append(tuple(inputs.shape))
            return tf.reduce_mean(inputs, axis=(1, 2))

    pixels = keras.Input((3, 5, 3))
    model = keras.Model(pixels, Watching()(pixels))
    shapes.clear()
    times = time_models({"net": model}, Silent())
    assert shapes == [(TIMED_IMAGES, 3, 5, 3)]  # traced once
    assert len(times["net"].rounds) == FEWEST_ROUNDS
    assert (times["net"].rounds > 0).all()


def test_quartiles_are_those_of_the_rounds() -> None:
    generator = np.random.default_rng(0)
    rounds = generator.gamma(3.0, size=41)
    spread = Timing(rounds=rounds).spread
    ordered = np.sort(rounds)
    assert (spread.median, spread.quartiles) == (ordered[20], (ordered[10], ordered[30]))


def test_models_one_after_the_other_take_their_sum_in_each_round() -> None:
    both = one_after_the_other([Timing(rounds=np.array([1.0, 5.0])), Timing(rounds=np.array([10.0, 2.0]))])
    np.testing.assert_array_equal(both.rounds, [11.0, 7.0])


def test_no_figure_is_below_that_of_a_part() -> None:
    whole, part = Spread(median=3.0, quartiles=(2.0, 9.0)), Spread(median=4.0, quartiles=(3.5, 5.0))
    assert at_least(whole, [part]) == Spread(median=4.0, quartiles=(3.5, 9.0))
    assert at_least(whole, []) == whole
