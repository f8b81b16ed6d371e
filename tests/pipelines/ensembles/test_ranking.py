"""Members are ranked by what they predict on images they were not trained on; the best is chosen on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from models.arrays import Doubles
from pipelines.ensembles.costs import base_key
from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
from pipelines.ensembles.ranking import FittedEnsemble, rank_members
from pipelines.ensembles.timing import Timing
from pipelines.evaluation.predictions import Predictions
from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.examples import Split
from pipelines.runs.leaderboard import Spread
from pipelines.runs.manifest import BackboneRecord, Manifest, RunRequest
from tests.pipelines.manifests import manifest_with
from tests.specs import train_spec

LABELS = np.array([0, 1, 0, 1], np.int32)
TEST_LABELS = np.array([1, 1], np.int32)


def of_first_class(*probabilities: float) -> Doubles:
    """(images, 2), given the probability of class 0 of each image."""
    first = np.array(probabilities)
    return np.stack([first, 1 - first], axis=1)


def model_in(
    folder: Path, manifest: Manifest, *, fold: int | None = None, size: int = 1000, test: Doubles | None = None
) -> LoadedMember:
    """A model whose file has `size` bytes; its network is never called."""
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(bytes(size))
    return LoadedMember(
        name=folder.name,
        folder=folder,
        manifest=manifest,
        model=keras.Sequential(),
        columns=(0, 1),
        fold=fold,
        test=np.zeros((0, 2)) if test is None else test,
    )


def ensemble_of(
    folder: Path,
    members: Sequence[MemberPredictions],
    *,
    ms: Sequence[float],
    joined_ms: Sequence[float] = (8.0,),
    test: Doubles | None = None,
) -> FittedEnsemble:
    """An ensemble that is right about three of four validation images, with equal weights.

    Each base of the member at a place takes `ms` of that place in every round, and the ensemble `joined_ms`.
    """
    (folder / "joined").mkdir()
    (folder / "joined" / "model.keras").write_bytes(bytes(5_000_000))
    predictions: dict[Split, Predictions] = {
        "validation": (of_first_class(0.9, 0.2, 0.7, 0.6).astype(np.float32), LABELS)
    }
    if test is not None:
        predictions["test"] = test.astype(np.float32), TEST_LABELS
    return FittedEnsemble(
        model=keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]),
        method="mean",
        temperature=1.5,
        members=members,
        weights=[1 / len(members)] * len(members),
        time=Timing(rounds=np.array(joined_ms)),
        member_times={
            base_key(model): Timing(rounds=np.array([ms[place]] * len(joined_ms)))
            for place, member in enumerate(members)
            for model in member.models
        },
        chosen_time=None,
        labels=LABELS,
        predictions=predictions,
        folder=folder / "joined",
    )


@pytest.fixture
def members(tmp_path: Path) -> list[MemberPredictions]:
    """Three members: two right about three of four images, the second surer of it; one right about all, barely."""
    validation = {
        "timid": of_first_class(0.6, 0.4, 0.6, 0.6),
        "sure": of_first_class(0.9, 0.1, 0.9, 0.6),
        "best": of_first_class(0.6, 0.4, 0.6, 0.4),
    }
    return [
        MemberPredictions(
            name=name,
            models=(
                model_in(
                    tmp_path / "runs" / name,
                    manifest_with(),
                    size=1000 * place,
                    test=of_first_class(0.3, 0.1 + 0.3 * place),
                ),
            ),
            probabilities=probabilities,
        )
        for place, (name, probabilities) in enumerate(validation.items())
    ]


def test_members_stand_in_the_order_of_accuracy_then_of_loss(tmp_path: Path, members: list[MemberPredictions]) -> None:
    board = rank_members(ensemble_of(tmp_path, members, ms=[1.0, 2.0, 3.0]))
    assert [row.name for row in board.members] == ["best", "sure", "timid"]
    assert [row.accuracy for row in board.members] == [1.0, 0.75, 0.75]
    assert [row.log_loss for row in board.members] == pytest.approx(
        [log_loss(LABELS, members[place].probabilities) for place in (2, 1, 0)]
    )
    assert board.names == ("timid", "sure", "best")


def test_a_row_describes_its_member(tmp_path: Path, members: list[MemberPredictions]) -> None:
    row = rank_members(ensemble_of(tmp_path, members, ms=[1.0, 2.0, 3.0])).members[1]
    assert (row.path, row.backbone, row.head) == ("../runs/sure", "net", "linear")
    assert (row.images, row.fold, row.ms, row.mb) == (4, None, 2.0, 0.001)
    assert row.weight == pytest.approx(1 / 3)
    # Wilson's interval, worked out: p = 3/4, n = 4, z = 1.96.
    z, n, p = 1.959964, 4, 0.75
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    assert row.accuracy_interval == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_the_leaderboard_describes_the_ensemble(tmp_path: Path, members: list[MemberPredictions]) -> None:
    board = rank_members(ensemble_of(tmp_path, members, ms=[1.0, 2.0, 3.0]))
    assert (board.method, board.temperature, board.mb) == ("mean", 1.5, 5.0)
    assert board.folds == {}
    assert board.ms == 8.0
    # The best predicts the last image otherwise than the two others.
    assert board.disagreement == ((0.0, 0.0, 0.25), (0.0, 0.0, 0.25), (0.25, 0.25, 0.0))


def test_the_gain_is_over_the_member_best_on_validation_even_if_another_tests_better(
    tmp_path: Path, members: list[MemberPredictions]
) -> None:
    # On the test images, both of class 1, `best` is right about one and the others about both.
    board = rank_members(ensemble_of(tmp_path, members, ms=[1.0, 2.0, 3.0], test=of_first_class(0.1, 0.2)))
    assert board.gain is not None
    accuracy = board.gain.comparison.accuracy
    assert (accuracy.first, accuracy.second, accuracy.part, accuracy.images) == ("ensemble", "best", "test", 2)
    assert accuracy.means == (1.0, 0.5)
    assert (board.gain.best, board.gain.best_ms, board.gain.ms) == ("best", 3.0, board.ms)


def test_without_test_images_the_gain_is_on_validation_and_ties_go_to_the_lower_loss(
    tmp_path: Path, members: list[MemberPredictions]
) -> None:
    gain = rank_members(ensemble_of(tmp_path, members[:2], ms=[1.0, 2.0])).gain
    assert gain is not None
    assert (gain.best, gain.comparison.accuracy.part, gain.comparison.accuracy.images) == ("sure", "validation", 4)
    assert gain.comparison.log_loss.means[1] == pytest.approx(log_loss(LABELS, members[1].probabilities))


def folded(tmp_path: Path, sha256: str | None) -> MemberPredictions:
    """Models of two folds; the first predicts images 0 and 3 with one error, the second 1 and 2 with none."""
    manifest = manifest_with(backbone=BackboneRecord(name="net", weights="none", parameters=7, weights_sha256=sha256))
    models = tuple(model_in(tmp_path / "runs" / f"net-f{fold}", manifest, fold=fold) for fold in (0, 1))
    return MemberPredictions(
        name="net",
        models=models,
        probabilities=of_first_class(0.9, 0.2, 0.7, 0.6),
        folds=np.array([0, 1, 1, 0], np.intp),
    )


def test_the_model_of_a_fold_is_scored_on_its_fold_and_shares_the_weight(tmp_path: Path) -> None:
    board = rank_members(ensemble_of(tmp_path, [folded(tmp_path, "ab")], ms=[4.0]))
    rows = [(row.name, row.fold, row.images, row.accuracy, row.weight) for row in board.members]
    assert rows == [("net-f1", 1, 2, 1.0, 0.5), ("net-f0", 0, 2, 0.5, 0.5)]
    assert board.members[1].log_loss == pytest.approx(-np.log([0.9, 0.4]).mean())
    assert board.names == ("net",)


def test_scores_over_folds_have_their_mean_and_deviation(tmp_path: Path) -> None:
    folds = rank_members(ensemble_of(tmp_path, [folded(tmp_path, "ab")], ms=[4.0])).folds
    assert (folds["accuracy"].mean, folds["accuracy"].deviation) == pytest.approx((0.75, 0.5 / 2**0.5))
    losses = -np.log([0.9, 0.4]).mean(), -np.log([0.8, 0.7]).mean()
    assert folds["log_loss"].mean == pytest.approx(np.mean(losses))
    assert folds["log_loss"].deviation == pytest.approx(abs(losses[0] - losses[1]) / 2**0.5)


def test_a_row_has_the_time_of_its_model_alone(tmp_path: Path, members: list[MemberPredictions]) -> None:
    board = rank_members(ensemble_of(tmp_path, [folded(tmp_path, None), *members[:1]], ms=[2.0, 1.0]))
    assert {row.name: row.ms for row in board.members} == {"net-f0": 2.0, "net-f1": 2.0, "timid": 1.0}
    # Both folds have a base of their own: the group takes the time of two.
    assert board.gain is not None and (board.gain.best, board.gain.best_ms) == ("net", 4.0)


def test_one_group_of_folds_is_compared_with_nothing(tmp_path: Path) -> None:
    assert rank_members(ensemble_of(tmp_path, [folded(tmp_path, "ab")], ms=[4.0])).gain is None


def test_times_have_their_median_and_quartiles(tmp_path: Path, members: list[MemberPredictions]) -> None:
    ensemble = ensemble_of(tmp_path, members, ms=[1.0, 2.0, 2.0], joined_ms=[9.0, 5.0, 6.0, 100.0, 4.0])
    board = rank_members(ensemble)
    assert (board.ms, board.ms_quartiles, board.chosen_ms) == (6.0, (5.0, 9.0), None)
    assert board.members[0].ms_quartiles == (2.0, 2.0)
    assert board.gain is not None and board.gain.times_as_long == Spread(median=3.0, quartiles=(2.5, 4.5))


def test_an_ensemble_is_not_faster_than_the_slowest_base_that_it_contains(
    tmp_path: Path, members: list[MemberPredictions]
) -> None:
    ensemble = replace(ensemble_of(tmp_path, members, ms=[7.0, 20.0, 4.0], joined_ms=[3.0]), weights=[0.5, 0.0, 0.5])
    board = rank_members(ensemble)
    # `sure`, of 20 ms, has no weight; `best` takes 4 ms.
    assert (board.ms, board.ms_quartiles) == (7.0, (7.0, 7.0))
    assert board.gain is not None and board.gain.times_as_long == Spread(median=7 / 4, quartiles=(7 / 4, 7 / 4))


def test_the_time_that_members_were_chosen_by_is_recorded(tmp_path: Path, members: list[MemberPredictions]) -> None:
    ensemble = ensemble_of(tmp_path, members, ms=[1.0, 2.0, 3.0])
    chosen = rank_members(replace(ensemble, chosen_time=Timing(rounds=np.array([5.0, 7.0, 6.0])))).chosen_ms
    assert chosen == Spread(median=6.0, quartiles=(5.5, 6.5))


def test_the_seed_is_that_of_the_request(tmp_path: Path) -> None:
    common = train_spec(seed=7)
    requests = [
        RunRequest(train=common),
        RunRequest(ensemble=EnsembleSpec(runs=("a", "b"), out="c", seed=3)),
        RunRequest(members=MembersSpec(common=common, backbones=("net",), heads=("linear",))),
    ]
    members = [
        MemberPredictions(
            name=str(place),
            models=(model_in(tmp_path / "runs" / str(place), manifest_with(spec=spec)),),
            probabilities=of_first_class(0.9, 0.2, 0.7, 0.6),
        )
        for place, spec in enumerate(requests)
    ]
    board = rank_members(ensemble_of(tmp_path, members, ms=[1.0, 1.0, 1.0]))
    assert {row.name: row.seed for row in board.members} == {"0": 7, "1": 3, "2": None}
