"""Training on cached features: what is computed again, and what is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.evaluate import evaluate
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.runs.feature_records import FeatureRecord
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.split_file import read_split
from pipelines.train import train
from tests.pipelines.new_heads import assert_same_backbone, features_of, spec_on
from tests.specs import train_spec

Draw = Callable[..., Path]


def test_the_second_training_computes_no_features_whatever_the_file_names(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("moved", per_class=15, seed=6)
    train(spec_on(drawn, data, tmp_path / "one"))
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        path.rename(path.with_name(f"renamed-{number}.jpeg"))
    again = train(spec_on(drawn, data, tmp_path / "two", seed=3))
    expected = FeatureRecord(images=45, views=1, cached=45, new=0, seconds=0, damaged_shards=0)
    assert replace(features_of(again), seconds=0) == expected
    more = image_folder("moved", per_class=1, seed=77, suffix=".bmp")
    third = train(spec_on(drawn, more, tmp_path / "three", batch=8))
    assert [note.split(":")[0] for note in third.notes] == ["--batch"]  # without effect, and the run says so
    assert (features_of(third).cached, features_of(third).new) == (45, 3)


def test_augmented_views_are_cached_by_seed_and_the_clean_view_is_shared(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("views", parts={"train": 10, "validation": 5}, seed=8)
    clean = train(spec_on(drawn, data, tmp_path / "one"))
    assert features_of(clean).new == 45
    views = train(spec_on(drawn, data, tmp_path / "two", augment="light", views=3), report=True)
    assert (features_of(views).cached, features_of(views).new) == (45, 60)
    again = train(spec_on(drawn, data, tmp_path / "three", augment="light", views=3, head="mlp"))
    assert features_of(again).new == 0
    other = train(spec_on(drawn, data, tmp_path / "four", augment="light", views=3, seed=1))
    assert features_of(other).new == 60
    assert "test" not in views.metrics
    # Its page shows what the policy does; pages without a policy, and runs without a page, have no such picture.
    assert "augmented views" in (tmp_path / "two" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "three" / "augmentation.png").exists()


def test_a_damaged_shard_is_computed_again_with_a_note(
    drawn: Path, image_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = image_folder("damaged", per_class=12, seed=9)
    first = train(spec_on(drawn, data, tmp_path / "one"))
    shard = next((tmp_path / "cache").rglob("*.npy"))
    content = bytearray(shard.read_bytes())
    content[-5] ^= 255
    shard.write_bytes(content)
    second = train(spec_on(drawn, data, tmp_path / "two"))
    # Each part has a shard of its own: the rows of the damaged one are computed again, and no others.
    assert 0 < features_of(second).new < 36
    assert second.notes == ("1 damaged shards of the feature cache were computed again",)
    assert second.metrics == first.metrics


def test_switches_change_the_views_and_their_place_in_the_cache(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("switches", parts={"train": 6, "validation": 3}, seed=21)
    first = train(spec_on(drawn, data, tmp_path / "one", augment="light", views=2))
    assert features_of(first).new == 27 + 18
    for number, switch in enumerate(("no_flip", "rotate90")):
        other = train(spec_on(drawn, data, tmp_path / str(number), augment="light", views=2, **{switch: True}))
        assert (features_of(other).cached, features_of(other).new) == (27, 18)


def test_a_head_on_levels_is_a_run_like_any_other(
    drawn: Path, image_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = image_folder("pictures", per_class=15, seed=6)
    last = train(spec_on(drawn, data, tmp_path / "last"))
    levels = train(spec_on(drawn, data, tmp_path / "levels", features="levels"))
    # Neither reads the features of the other, and both read their own.
    assert [features_of(manifest).new for manifest in (last, levels)] == [45, 45]
    for features in ("last", "levels"):
        again = train(spec_on(drawn, data, tmp_path / f"{features}-again", features=features))
        assert features_of(again).new == 0
    assert [read_manifest(tmp_path / name).head.features for name in ("last", "levels")] == ["last", "levels"]
    assert levels.agreement is not None
    assert levels.agreement.max_difference < 0.01

    # One graph from pixels to probabilities: 128 values of the last map, and of the three convolutions below it.
    model, _ = load_run(tmp_path / "levels")
    assert model.get_layer("head").input_shape == (None, 128 + 32 + 64 + 128)
    cached = evaluate(str(tmp_path / "levels"), str(data))
    assert cached.how.startswith("cached features")
    assert cached.report == levels.metrics["test"]
    exact = evaluate(str(tmp_path / "levels"), str(data), cache=False)
    assert exact.how == "the saved model, float32"
    assert exact.report.log_loss == pytest.approx(cached.report.log_loss, abs=0.01)


def test_the_network_below_a_head_on_levels_can_be_fine_tuned_from_its_last_layer(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("pictures", per_class=10, seed=6)
    train(spec_on(drawn, data, tmp_path / "levels", features="levels"))
    spec = spec_on(drawn, data, tmp_path / "tuned", backbone=str(tmp_path / "levels"), fine_tune="1", epochs=1)
    assert train(spec).stages[-1].trained == ("block3",)
    assert load_run(tmp_path / "tuned")[0].get_layer("head").input_shape == (None, 128)


def test_fine_tuning_starts_from_the_head_that_cross_validation_chose(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("pictures", per_class=12, seed=6)
    options = {"fine_tune": "1", "features": "levels", "epochs": None, "validation": "auto"}
    manifest = train(spec_on(drawn, data, tmp_path / "tuned", **options))
    head, tuned = manifest.stages
    assert manifest.cross_validation is not None and head.recipe is not None and head.recipe.optimizer == "l-bfgs"
    assert tuned.trained == ("block3",) and tuned.kept is not None
    # The comparison is on the validation part alone, though the folds chose the head on training images too.
    assert tuned.compared["validation"].images == sum(manifest.data.images["validation"].values())
    frozen = train(spec_on(drawn, data, tmp_path / "frozen", features="levels", epochs=None, validation="auto"))
    if not tuned.kept:
        assert manifest.metrics == frozen.metrics
    # What is saved is what was scored.
    exact = evaluate(str(tmp_path / "tuned"), str(data), cache=False)
    assert exact.report.log_loss == pytest.approx(manifest.metrics["test"].log_loss, abs=0.01)


def test_features_averaged_over_mirror_images_are_those_of_the_saved_model(
    drawn: Path, image_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = image_folder("pictures", per_class=12, seed=6)
    plain = train(spec_on(drawn, data, tmp_path / "plain"))
    mirrored = train(spec_on(drawn, data, tmp_path / "mirrored", mirror=True))
    assert [features_of(manifest).new for manifest in (plain, mirrored)] == [36, 36]  # one more pass, not two
    assert read_manifest(tmp_path / "mirrored").head.mirror
    assert not read_manifest(tmp_path / "plain").head.mirror

    # What was scored from the cache is what the model computes from the pixels of an image, or of its mirror image.
    model, _ = load_run(tmp_path / "mirrored")
    saved = read_predictions(tmp_path / "mirrored", "test")
    divided = read_split(tmp_path / "mirrored", mirrored.class_names)
    examples = [example for example in divided if example.split == "test"]
    assert saved is not None
    probabilities = saved.of(examples)
    assert probabilities is not None
    pixels = np.stack([np.asarray(Image.open(example.path).convert("RGB"), np.float32) for example in examples])
    by_model, of_mirror_images = (model.predict_on_batch(side) for side in (pixels, pixels[:, :, ::-1]))
    np.testing.assert_allclose(probabilities, by_model, atol=2e-3)  # cached features are float16
    np.testing.assert_allclose(of_mirror_images, by_model, atol=1e-5)
    of_plain, _ = load_run(tmp_path / "plain")
    assert np.abs(of_plain.predict_on_batch(pixels) - of_plain.predict_on_batch(pixels[:, :, ::-1])).max() > 4e-3

    cached = evaluate(str(tmp_path / "mirrored"), str(data))
    assert cached.how.startswith("cached features")
    assert cached.report == mirrored.metrics["test"]


def test_the_network_under_averaged_features_carries_another_head(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("pictures", per_class=10, seed=6)
    train(spec_on(drawn, data, tmp_path / "mirrored", features="levels", mirror=True))
    train(spec_on(drawn, data, tmp_path / "next", backbone=str(tmp_path / "mirrored")))
    assert not read_manifest(tmp_path / "next").head.mirror
    assert_same_backbone(tmp_path / "next", drawn / "one")


@pytest.mark.parametrize("engine", ["auto", "keras", "tensorflow"])
def test_real_weights_on_a_slice_of_real_pictures(
    engine: str, shared: Path, keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "clothing"
    for part, count in (("train", 25), ("validation", 8), ("test", 8)):
        for name in ("shoes", "dress", "pants"):
            (data / part / name).mkdir(parents=True)
            for path in sorted((shared / "data" / "clothing" / part / name).iterdir())[:count]:
                os.symlink(path, data / part / name / path.name)
    manifest = train(
        train_spec(data=str(data), out=str(tmp_path / "run"), backbone="mobilenet_0.25", engine=engine, heads=4)
    )
    assert manifest.metrics["test"].accuracy >= 0.8  # chance is a third
    assert manifest.agreement is not None and manifest.engine is not None
    assert manifest.agreement.top1_agreement >= 0.9
    if engine != "auto":
        assert manifest.engine.engine == engine
    written = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]
    assert written == json.loads(json.dumps({part: asdict(scores) for part, scores in manifest.metrics.items()}))
