"""Out-of-fold predictions of the training images: each by a model that was not trained on it, nor on a copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from models.heads import Candidate
from pipelines.features.cached import Features
from pipelines.features.shards import ShardStore, key
from pipelines.fitting.heads import fit_heads, predict_features
from pipelines.members.held_out import divide_held_out, predict_head_held_out, predict_network_held_out
from pipelines.runs.manifest import BackboneRecord
from pipelines.training import from_scratch
from pipelines.training.head_stage import search_of
from pipelines.training.plan import TrainingPlan, TrainingResult
from tests.pipelines.training.prepared import prepare
from tests.specs import with_options

RECORD = BackboneRecord(name="small_cnn", weights="none", parameters=0)


@pytest.fixture
def plan(tmp_path: Path) -> TrainingPlan:
    prepared, _ = prepare(tmp_path, name="small_cnn", fine_tune=None, epochs=1)
    source = replace(prepared.names.source, weights="none")
    return replace(prepared, names=replace(prepared.names, source=source))


def test_every_image_is_held_out_once_and_with_its_copies(plan: TrainingPlan) -> None:
    examples = plan.dataset.examples
    copies = [replace(example, path=example.path + ".copy") for example in examples if example.split == "train"][:6]
    folds = divide_held_out(replace(plan.dataset, examples=(*examples, *copies)), seed=0)
    train = [*plan.dataset.part("train"), *copies]
    assert sorted(place for fold in folds for place in fold) == list(range(len(train)))
    contents = [{train[place].sha256 for place in fold} for fold in folds]
    assert sum(map(len, contents)) == len(set.union(*contents))


def test_too_few_images_for_the_folds_are_refused(plan: TrainingPlan) -> None:
    few = [example for example in plan.dataset.part("train") if example.label][:-8]
    few += [example for example in plan.dataset.part("train") if not example.label][:2]
    with pytest.raises(UserError, match="--boost predicts the training images in 3 folds") as caught:
        divide_held_out(replace(plan.dataset, examples=tuple(few)), seed=0)
    assert caught.value.hint == "add images, or omit --boost"


def test_no_network_predicts_an_image_that_it_was_trained_on(
    plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    folds: list[TrainingPlan] = []

    def numbered(fold: TrainingPlan) -> TrainingResult:
        """A network that predicts its number for every image."""
        pixels = keras.Input((32, 32, 3))
        zeros = keras.layers.GlobalAveragePooling2D()(pixels) * 0.0
        one_hot = keras.ops.one_hot(keras.ops.full_like(zeros[:, 0], len(folds), dtype="int32"), 3)
        folds.append(fold)
        return TrainingResult(
            model=keras.Model(pixels, one_hot), predictions={}, history=[], stages=[], backbone=RECORD
        )

    monkeypatch.setattr(from_scratch, "train_from_scratch", numbered)
    train = plan.dataset.part("train")
    weights = np.linspace(0.5, 1.5, len(train)).astype(np.float32)
    classes = predict_network_held_out(replace(plan, image_weights=weights))
    assert set(classes.tolist()) == {0, 1, 2}
    weight_of = {example.sha256: weight for example, weight in zip(train, weights, strict=True)}
    for number, fold in enumerate(folds):
        seen = fold.dataset.part("train")
        held_out = {example.sha256 for example, predicted in zip(train, classes, strict=True) if predicted == number}
        assert {example.sha256 for example in seen} == {example.sha256 for example in train} - held_out
        assert fold.dataset.part("validation") == plan.dataset.part("validation")
        expected = np.asarray([weight_of[example.sha256] for example in seen])
        assert fold.image_weights == pytest.approx(expected / expected.mean())
    assert len({fold.folder for fold in folds}) == 3 and plan.folder not in {fold.folder for fold in folds}


def test_a_head_cannot_predict_what_it_can_only_remember(plan: TrainingPlan, tmp_path: Path) -> None:
    # Each image has a feature of its own: a head that saw it knows its class, another knows nothing of it.
    train = plan.dataset.part("train")
    store = ShardStore(tmp_path / "clean")
    rows = 20 * np.eye(len(train), dtype=np.float16)
    store.add([key(example.sha256, 0) for example in train], rows)
    features = Features((store, store), list(train), 1)
    candidate = Candidate(l2=0.0, learning_rate=0.01, dropout=0.0, seed=0)
    longer = replace(plan, spec=with_options(plan.spec, epochs=30))
    classes = predict_head_held_out(longer, candidate, train=features, validation=features)
    assert (classes == features.labels).mean() < 0.6
    seen = fit_heads(
        search_of(longer, (candidate,), epochs=30), train=features, validation=features, reporter=plan.reporter
    )
    assert (predict_features(seen.heads[0], features).argmax(1) == features.labels).mean() == 1
