"""Measures prediction times of several models in turn, with their spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Doubles
from pipelines.runs.leaderboard import Spread
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

TIMED_IMAGES = 8  # in one call
# Each model is called so often, and more often while the time is not spent.
FEWEST_ROUNDS, MOST_ROUNDS, SECONDS = 9, 60, 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """The prediction time of a model, or of several one after the other.

    Attributes:
        rounds: (rounds,) milliseconds per image; a round of one model and the same round of another were measured
            within seconds of each other.
    """

    rounds: Doubles

    @property
    def spread(self) -> Spread:
        """Milliseconds per image."""
        return _spread(self.rounds)

    def ratio(self, other: Timing) -> Spread:
        """How many times as long it takes as another that was measured in the same rounds.

        Each round is compared with itself: what slows the machine down for a second slows both.
        """
        return _spread(self.rounds / other.rounds)


def time_models(models: Mapping[str, keras.Model], reporter: Reporter) -> dict[str, Timing]:
    """The prediction times of models (float32 pixels on this machine), measured in turn.

    Models that are measured one after the other meet another machine each: its load and its clock change within
    seconds. On two cores that others used too, the same three members took between 1.0 and 7.5 times as long as one
    of them by the least of three calls.

    Args:
        models: key -> pixels to probabilities.
        reporter: shows progress.

    Returns:
        One for each of `models`, under its key.
    """
    calls = {name: _call(model) for name, model in models.items()}
    milliseconds: dict[str, list[float]] = {name: [] for name in models}
    began = time.perf_counter()
    with reporter.task("timing", None) as task:
        for number in range(MOST_ROUNDS):
            if number >= FEWEST_ROUNDS and time.perf_counter() - began > SECONDS:
                break
            # Another order each time, so that no model always follows the same one.
            for name in np.random.default_rng(number).permutation(list(calls)):
                started = time.perf_counter()
                calls[name]()
                milliseconds[name].append(1000 * (time.perf_counter() - started) / TIMED_IMAGES)
            task.advance()
    return {name: Timing(rounds=np.asarray(rounds)) for name, rounds in milliseconds.items()}


def one_after_the_other(timings: Iterable[Timing]) -> Timing:
    """The time of several models that run one after the other, measured in the same rounds."""
    return Timing(rounds=np.sum([timing.rounds for timing in timings], axis=0))


def at_least(spread: Spread, floors: Iterable[Spread]) -> Spread:
    """A spread whose figures are not below those of others: a model takes no less time than a part of it does."""
    spreads = [spread, *floors]
    low, high = (max(other.quartiles[end] for other in spreads) for end in (0, 1))
    return Spread(median=max(other.median for other in spreads), quartiles=(low, high))


def _spread(values: Doubles) -> Spread:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return Spread(median=median, quartiles=(low, high))


def _call(model: keras.Model) -> Callable[[], object]:
    """A call that predicts `TIMED_IMAGES` images and waits for the result; compiled already."""
    import tensorflow as tf

    graph = tf.function(lambda pixels: model(pixels, training=False))
    pixels = tf.random.stateless_uniform((TIMED_IMAGES, *model.input_shape[1:]), seed=(0, 0), maxval=255.0)
    np.asarray(graph(pixels))
    return lambda: np.asarray(graph(pixels))
