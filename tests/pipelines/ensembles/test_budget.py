"""Members are chosen under a greatest time by what they take together, each base once."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import UserError
from pipelines.ensembles import budget as module
from pipelines.ensembles.budget import choose_within_budget, over_limit
from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
from pipelines.ensembles.selection import Budget
from pipelines.ensembles.timing import Timing
from pipelines.runs.manifest import BackboneRecord
from pipelines.system.progress import Reporter, Silent
from tests.pipelines.manifests import manifest_with

LABELS = np.array([0, 1, 0, 1], np.int32)
# Each is sure of two images, and the three of others; `third` stands on the base of `first`.
FIRST_CLASS = {"first": [0.9, 0.1, 0.4, 0.6], "second": [0.4, 0.6, 0.9, 0.1], "third": [0.9, 0.6, 0.4, 0.1]}
BASES = {"first": "x", "second": "y", "third": "x"}


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[MemberPredictions]:
    """Three members on two bases, which take 4, 6, 5 and 10, 8, 12 ms in three rounds."""

    def times(models: dict[str, keras.Model], reporter: Reporter) -> dict[str, Timing]:
        rounds = {"x": [4.0, 6.0, 5.0], "y": [10.0, 8.0, 12.0]}
        return {key: Timing(rounds=np.array(rounds[key[0]])) for key in models}

    monkeypatch.setattr(module, "time_models", times)
    return [member(tmp_path / name, np.array(values)) for name, values in FIRST_CLASS.items()]


def member(folder: Path, first_class: np.ndarray) -> MemberPredictions:
    folder.mkdir()
    (folder / "model.keras").write_bytes(bytes(1_000_000))
    backbone = BackboneRecord(name="net", weights="imagenet", parameters=7, weights_sha256=BASES[folder.name])
    model = LoadedMember(
        name=folder.name,
        folder=folder,
        manifest=manifest_with(backbone=backbone),
        model=keras.Sequential(),
        columns=(0, 1),
        fold=None,
        test=np.zeros((0, 2)),
    )
    probabilities = np.stack([first_class, 1 - first_class], axis=1)
    return MemberPredictions(name=folder.name, models=(model,), probabilities=probabilities)


def chosen(members: list[MemberPredictions], budget: Budget) -> tuple[set[str], Timing | None]:
    probabilities = np.asarray([member.probabilities for member in members])
    places, time = choose_within_budget(members, probabilities, LABELS, budget, Silent())
    return {members[place].name for place in places}, time


def test_without_a_limit_all_members_remain_and_nothing_is_timed(members: list[MemberPredictions]) -> None:
    assert chosen(members, Budget()) == ({"first", "second", "third"}, None)
    names, time = chosen(members, Budget(size_mb=100.0))
    assert names and time is None


def test_what_is_chosen_takes_no_longer_together_than_the_limit(members: list[MemberPredictions]) -> None:
    # Medians 5 and 10 ms: both bases fit into 15 ms, and not into 14.9.
    names, time = chosen(members, Budget(latency_ms=15.0))
    assert {"first", "second"} <= names and time is not None
    np.testing.assert_array_equal(time.rounds, [14.0, 14.0, 17.0])
    names, time = chosen(members, Budget(latency_ms=14.9))
    assert names in ({"first"}, {"second"}, {"third"}, {"first", "third"})
    # Two heads on one base take the time of one.
    names, time = chosen(members, Budget(latency_ms=5.0))
    assert names <= {"first", "third"} and time is not None
    np.testing.assert_array_equal(time.rounds, [4.0, 6.0, 5.0])


def test_a_limit_that_nothing_fits_is_an_error_with_the_fastest_time(members: list[MemberPredictions]) -> None:
    with pytest.raises(UserError, match=r"4\.9 ms an image \(the fastest takes 5 ms\)"):
        chosen(members, Budget(latency_ms=4.9))


@pytest.mark.parametrize(("ms", "limit", "is_over"), [(9.0, 10.0, False), (10.5, 10.0, True), (10.5, None, False)])
def test_an_ensemble_that_takes_longer_than_its_limit_is_named(ms: float, limit: float | None, is_over: bool) -> None:
    lines = over_limit(ms, Budget(latency_ms=limit))
    assert len(lines) == is_over
    assert all("10.5 ms per image, more than --max-latency 10" in line for line in lines)
