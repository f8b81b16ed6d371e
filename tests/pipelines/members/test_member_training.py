"""Members on one backbone: bags, boosting, a member that fails, and features that all share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.arrays import Weights
from pipelines.data.dataset_file import write_dataset
from pipelines.evaluation.predictions import predict_batches
from pipelines.fitting.heads import fit_heads
from pipelines.images.batches import pixel_batches
from pipelines.members import member_training as module
from pipelines.members.boosting import boost
from pipelines.members.spec import MembersOrder, list_members
from pipelines.runs.layout import is_run
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.system.relay import ProgressRelay
from tests.pipelines.members.small_ensemble import events_of, member_training, members_spec, sent_through_json


@pytest.fixture
def sample_weights(monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """The weights of the images that each head is fitted with, in order."""
    weights: list[Weights] = []

    def watched(*arguments: Any, **named: Any) -> Any:  # those of `fit_heads`
        weights.append(named["sample_weights"])
        return fit_heads(*arguments, **named)

    monkeypatch.setattr(module, "fit_heads", watched)
    return weights


def test_boosting_raises_the_weights_of_images_that_the_previous_member_predicts_wrongly(
    drawn: Path, tmp_path: Path, sample_weights: list[Weights]
) -> None:
    spec = members_spec(drawn, tmp_path / "run", "two", seeds=2, boost=True)
    training, _ = member_training(spec, drawn, tmp_path / "run")
    # Every fifth label is wrong: what contradicts its neighbours cannot be learned.
    mixed = [
        replace(example, label=(example.label + (place % 5 == 0)) % 3)
        for place, example in enumerate(training.dataset.examples)
    ]
    training.dataset = replace(training.dataset, examples=tuple(mixed))
    training.train(list_members(spec))
    assert np.all(sample_weights[0] == 1)
    first, manifest = load_run(tmp_path / "run" / "members" / "two-r0")
    examples = training.dataset.part("train")
    probabilities, labels = predict_batches(first, pixel_batches(examples, size=int(first.input_shape[1]), batch=32))
    is_wrong = probabilities.argmax(1) != labels
    expected = boost(np.ones(len(examples)), is_wrong, 3)
    assert 0 < is_wrong.sum() < len(examples)
    assert manifest.boost_weight == pytest.approx(expected.weight, rel=0.1)
    # Cached features are float16: a prediction at the border may differ.
    difference = np.abs(sample_weights[1] / len(examples) - expected.image_weights)
    assert np.mean(difference < 1e-4) > 0.95
    assert sample_weights[1].mean() == pytest.approx(1, abs=1e-5)


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

    monkeypatch.setattr(module, "fit_heads", fail_first)
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=2)
    training, messages = member_training(spec, drawn, tmp_path / "run")
    training.train(list_members(spec))
    failed, done = events_of(messages)
    assert failed == {"failed": "one-s0", "message": "MemoryError: too much", "hint": "please report it"}
    assert done == {"done": "one-s1"}
    assert is_run(tmp_path / "run" / "members" / "one-s1")


def test_an_order_survives_the_way_into_another_process(drawn: Path, tmp_path: Path) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one")
    training, messages = member_training(spec, drawn, tmp_path / "run")
    write_dataset(tmp_path / "dataset", training.dataset)
    order = MembersOrder(
        spec=spec, members=list_members(spec), out=str(tmp_path / "run"), dataset=str(tmp_path / "dataset")
    )
    assert sent_through_json(order) == order
    module.main(order, ProgressRelay(messages))
    assert is_run(tmp_path / "run" / "members" / "one")


@pytest.mark.parametrize("options", [{"augment": "light", "views": 2}], ids=["views"])
def test_a_resumed_ensemble_finds_the_features_of_its_first_members(
    options: dict[str, object], drawn: Path, tmp_path: Path
) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=2, common=options)
    first, second = list_members(spec)
    training, _ = member_training(spec, drawn, tmp_path / "run")
    training.train([first])
    # Another process trains the second.
    module.MemberTraining(spec=spec, out=training.out, dataset=training.dataset, relay=training.relay).train([second])
    features = [read_manifest(tmp_path / "run" / "members" / member.name).features for member in (first, second)]
    assert features[0] is not None and features[1] is not None
    assert features[0].views == features[1].views == 2
    assert (features[1].new, features[1].cached) == (0, features[0].new + features[0].cached)
