"""Members on one backbone: bags, boosting, a member that fails, and features that all share."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.arrays import Labels, Weights
from pipelines.data.dataset_file import write_dataset
from pipelines.fitting.heads import fit_heads
from pipelines.members import member_training as module
from pipelines.members.spec import MembersOrder, list_members
from pipelines.runs.layout import is_run
from pipelines.runs.manifest import Manifest
from pipelines.runs.read_manifest import read_manifest
from pipelines.system.progress import PhaseTimer
from pipelines.system.relay import ProgressRelay
from pipelines.training import head_stage
from pipelines.training.execute import execute_plan
from pipelines.training.plan import TrainingPlan
from tests.pipelines.members.small_ensemble import (
    all_correct,
    events_of,
    member_training,
    members_spec,
    sent_through_json,
)


@pytest.fixture
def sample_weights(monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """The weights of the images that each head is fitted with, in order."""
    weights: list[Weights] = []

    def watched(*arguments: Any, **named: Any) -> Any:  # those of `fit_heads`
        weights.append(named["sample_weights"])
        return fit_heads(*arguments, **named)

    monkeypatch.setattr(head_stage, "fit_heads", watched)
    return weights


def test_half_of_what_the_second_boosted_head_sees_is_what_the_first_gets_wrong_out_of_fold(
    drawn: Path, tmp_path: Path, sample_weights: list[Weights]
) -> None:
    spec = members_spec(drawn, tmp_path / "run", "two", seeds=2, boost=True)
    training, messages = member_training(spec, drawn, tmp_path / "run")
    # Every fifth label is wrong: a head that has not seen such an image contradicts it.
    examples = training.dataset.examples
    is_mislabelled = {example.sha256 for example in examples[::5]}
    mixed = [replace(example, label=(example.label + (example.sha256 in is_mislabelled)) % 3) for example in examples]
    training.dataset = replace(training.dataset, examples=tuple(mixed))
    training.train(list_members(spec))
    assert [event["done"] for event in events_of(messages)] == ["two-r0", "two-r1"]
    first, second = sample_weights
    assert np.all(first == 1)
    assert second.mean() == pytest.approx(1, abs=1e-5)
    is_hard = second > 1
    assert second[is_hard].sum() == pytest.approx(len(second) / 2, rel=1e-5)
    mislabelled = np.asarray([example.sha256 in is_mislabelled for example in training.dataset.part("train")])
    assert is_hard[mislabelled].mean() > 0.7 > 0.3 > is_hard[~mislabelled].mean()


def test_boosting_ends_where_every_image_is_predicted_out_of_fold_and_says_so_again_when_resumed(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "predict_head_held_out", all_correct)
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=3, boost=True)
    members = list_members(spec)
    training, messages = member_training(spec, drawn, tmp_path / "run")
    training.train(members)
    module.MemberTraining(
        spec=spec, out=training.out, place=training.out, dataset=training.dataset, relay=training.relay
    ).train(members[1:])
    done, *ended = events_of(messages)
    assert done == {"done": "one-r0"}
    assert [event["ended"] for event in ended] == ["one-r1", "one-r2"] * 2
    assert {event["message"].partition(": ")[2] for event in ended} == {
        "it predicts every training image correctly, out of fold"
    }
    assert [path.name for path in (tmp_path / "run" / "members").iterdir()] == ["one-r0"]


def test_members_from_scratch_are_bagged_and_boosted(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[Weights | None] = []

    def watched(plan: TrainingPlan, timer: PhaseTimer) -> Manifest:
        weights.append(plan.image_weights)
        return execute_plan(plan, timer)

    def first_is_wrong(plan: TrainingPlan) -> Labels:
        labels = np.asarray([example.label for example in plan.dataset.part("train")], np.int32)
        return np.where(np.arange(len(labels)) == 0, (labels + 1) % 3, labels)

    monkeypatch.setattr(module, "execute_plan", watched)
    monkeypatch.setattr(module, "predict_network_held_out", first_is_wrong)
    common: dict[str, object] = {"epochs": 1, "image_size": 16, "batch": 32}
    for name in ("bag", "boost"):
        spec = members_spec(drawn, tmp_path / name, "one", seeds=2, common=common, **{name: True})
        spec = replace(spec, backbones=("small_cnn",))
        training, messages = member_training(spec, drawn, tmp_path / name)
        training.train(list_members(spec))
        assert [next(iter(event)) for event in events_of(messages)] == ["done", "done"]
    bag, other_bag, equal, boosted = weights
    assert bag is not None and other_bag is not None and equal is not None and boosted is not None
    assert bag.sum() == other_bag.sum() == len(bag) and not np.array_equal(bag, other_bag)
    assert np.all(equal == 1)
    assert boosted[0] == pytest.approx(len(boosted) / 2) and np.all(boosted[1:] < 1)


def test_each_bag_is_a_bootstrap_sample_of_its_own(drawn: Path, tmp_path: Path, sample_weights: list[Weights]) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=2, bag=True)
    training, messages = member_training(spec, drawn, tmp_path / "run")
    training.train(list_members(spec))
    assert [weights.sum() for weights in sample_weights] == [len(training.dataset.part("train"))] * 2
    assert (sample_weights[0] == 0).mean() == pytest.approx(np.exp(-1), abs=0.12)
    assert not np.array_equal(sample_weights[0], sample_weights[1])
    # Later members of a kind take the hyperparameters that the first ended with.
    chosen = [read_manifest(tmp_path / "run" / "members" / f"one-s{seed}").stages[0].chosen for seed in (0, 1)]
    assert chosen[0] is not None
    assert replace(chosen[0], seed=1) == chosen[1]
    assert [event["done"] for event in events_of(messages)] == ["one-s0", "one-s1"]


def test_one_bad_member_does_not_stop_the_next(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_first(search: Any, **named: Any) -> Any:  # those of `fit_heads`
        if search.seed == 0:
            raise MemoryError("too much")
        return fit_heads(search, **named)

    monkeypatch.setattr(head_stage, "fit_heads", fail_first)
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=2)
    training, messages = member_training(spec, drawn, tmp_path / "run")
    training.train(list_members(spec))
    failed, done = events_of(messages)
    assert (failed["failed"], failed["message"]) == ("one-s0", "MemoryError: too much")
    assert failed["unexpected"]
    assert done == {"done": "one-s1"}
    assert is_run(tmp_path / "run" / "members" / "one-s1")


def test_no_member_is_begun_on_a_full_disk(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def full(search: Any, **named: Any) -> Any:  # those of `fit_heads`
        tried.append(search.seed)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(head_stage, "fit_heads", full)
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=2)
    training, messages = member_training(spec, drawn, tmp_path / "run")
    with pytest.raises(OSError, match="No space left"):
        training.train(list_members(spec))
    assert (tried, events_of(messages)) == ([0], [])


def test_an_order_survives_the_way_into_another_process(drawn: Path, tmp_path: Path) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one")
    training, messages = member_training(spec, drawn, tmp_path / "run")
    write_dataset(tmp_path / "dataset", training.dataset)
    (tmp_path / "beside" / "state").mkdir(parents=True)
    order = MembersOrder(
        spec=spec,
        members=list_members(spec),
        out=str(tmp_path / "run"),
        place=str(tmp_path / "beside"),
        dataset=str(tmp_path / "dataset"),
    )
    assert sent_through_json(order) == order
    module.main(order, ProgressRelay(messages))
    member = read_manifest(tmp_path / "beside" / "members" / "one")
    # While a run is replaced its members are trained beside it, and already named as they will be called.
    assert member.spec.train is not None
    assert member.spec.train.out == str(tmp_path / "run" / "members" / "one")


@pytest.mark.parametrize("options", [{"augment": "light", "views": 2}], ids=["views"])
def test_a_resumed_ensemble_finds_the_features_of_its_first_members(
    options: dict[str, object], drawn: Path, tmp_path: Path
) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=2, common=options)
    first, second = list_members(spec)
    training, _ = member_training(spec, drawn, tmp_path / "run")
    training.train([first])
    # Another process trains the second.
    module.MemberTraining(
        spec=spec, out=training.out, place=training.out, dataset=training.dataset, relay=training.relay
    ).train([second])
    features = [read_manifest(tmp_path / "run" / "members" / member.name).features for member in (first, second)]
    assert features[0] is not None and features[1] is not None
    assert features[0].views == features[1].views == 2
    assert (features[1].new, features[1].cached) == (0, features[0].new + features[0].cached)
