"""An engine is compared with plain Keras, and measured where its features are the same."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.arrays import FeatureRows, Pixels
from models.engines import trials
from models.engines.source import Run, TracedBase
from models.engines.trials import Candidate, EngineTrial, Reference, filled, measure, measure_again, try_engine
from tests.models.engines.fake import FakeEngine
from tests.models.engines.tiny import SIDE, pictures, plain, small


@pytest.fixture
def reference() -> Reference:
    """A small base, two images and the features of plain Keras."""
    model = small()
    return Reference(
        source=TracedBase(model, (2, SIDE, SIDE, 3)), pixels=pictures(2), features=plain(model, pictures(2))
    )


def trial_of(name: str, seconds: float, *, batch: int = 2) -> EngineTrial:
    def run(pixels: Pixels) -> FeatureRows:
        assert len(pixels) == batch
        time.sleep(seconds)
        return np.zeros((batch, 1), np.float32)

    return EngineTrial(engine=name, precision="float32", run=run, batch=batch, build_seconds=0.0)


def test_an_engine_with_the_same_features_is_measured(reference: Reference) -> None:
    candidate = Candidate("fake", FakeEngine(seconds=0.05).entry(), "bfloat16")
    trial, reason = try_engine(candidate, reference)
    assert trial is not None
    assert (trial.name, trial.is_exact, reason) == ("fake/bfloat16", True, "")
    assert 0 < trial.rate < 2 / 0.05
    assert trial.build_seconds > 0.05


@pytest.mark.parametrize(("factor", "is_exact"), [(1.019, True), (1.021, False), (float("nan"), False)])
def test_the_tolerance_is_two_percent_of_the_norm(reference: Reference, factor: float, is_exact: bool) -> None:
    trial, reason = try_engine(Candidate("fake", FakeEngine(factor=factor).entry(), "bfloat16"), reference)
    assert trial is not None
    assert (trial.is_exact, trial.rate > 0, "features differ by" not in reason) == (is_exact,) * 3


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_an_engine_may_take_another_batch_than_plain_keras(reference: Reference, batch: int) -> None:
    def build(source: TracedBase, precision: str) -> tuple[Run, int]:
        def run(pixels: Pixels) -> FeatureRows:
            assert len(pixels) == batch
            return plain(source.model, pixels)

        return run, batch

    trial, reason = try_engine(Candidate("fake", replace(FakeEngine().entry(), build=build), "bfloat16"), reference)
    assert trial is not None
    assert (trial.batch, trial.is_exact, reason) == (batch, True, "")
    assert trial.difference < 1e-6


def test_an_engine_that_fails_has_a_reason_of_one_line(reference: Reference) -> None:
    trial, reason = try_engine(Candidate("fake", FakeEngine(fails=True).entry(), "bfloat16"), reference)
    assert trial is None
    assert reason == "dropped: fake bfloat16 fails: no such operation: `Twirl`"


def test_a_full_disk_is_not_a_fault_of_the_engine(reference: Reference) -> None:
    def build(source: TracedBase, precision: str) -> tuple[Run, int]:
        Path("/dev/full").write_bytes(b"x")  # answers every write as a full disk does
        raise AssertionError

    with pytest.raises(OSError, match="No space left"):
        try_engine(Candidate("fake", replace(FakeEngine().entry(), build=build), "bfloat16"), reference)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_batch_is_filled_by_repetition_or_cut(count: int) -> None:
    images = pictures(count)
    expected = list(itertools.islice(itertools.cycle(images), 3))
    np.testing.assert_array_equal(filled(images, 3), expected)


def test_no_images_make_a_black_batch() -> None:
    np.testing.assert_array_equal(filled(pictures(0), 2), np.zeros((2, SIDE, SIDE, 3)))


def test_the_rate_is_that_of_the_faster_of_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter((0.4, 0.1))
    monkeypatch.setattr(trials, "_time", lambda run, pixels: next(taken))
    assert measure(trial_of("fake", 0.0), pictures(2)).rate == pytest.approx(20)


def test_a_long_batch_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter((4.0,))
    monkeypatch.setattr(trials, "_time", lambda run, pixels: next(taken))
    assert measure(trial_of("fake", 0.0), pictures(2)).rate == pytest.approx(0.5)


def test_those_close_to_the_best_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best was lucky: in three rounds it takes 0.2 s a batch, its rival 0.1 s."""
    lucky, rival, slow = (
        replace(trial_of(name, 0.0), rate=rate) for name, rate in (("lucky", 100.0), ("rival", 70.0), ("slow", 50.0))
    )
    seconds = {id(lucky.run): 0.2, id(rival.run): 0.1}
    monkeypatch.setattr(trials, "_time", lambda run, pixels: seconds[id(run)])
    again = measure_again([lucky, rival, slow], pictures(2))
    assert [trial.rate for trial in again] == pytest.approx([10.0, 20.0, 50.0])


def test_a_best_without_rivals_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_time", None)  # whatever calls it fails
    best, other = replace(trial_of("best", 0.0), rate=100.0), replace(trial_of("other", 0.0), rate=50.0)
    assert measure_again([best, other], pictures(2)) == [best, other]
