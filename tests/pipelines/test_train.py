"""The main job end to end on drawn pictures: from scratch, then a new head on that network's frozen base."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.evaluate import evaluate
from pipelines.runs.feature_records import FeatureRecord
from pipelines.runs.manifest import MANIFEST_FILE, STATE_FOLDER, Manifest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import is_run, read_manifest
from pipelines.runs.spec import TrainSpec
from pipelines.train import train
from tests.specs import train_spec, with_options

ROOT = Path(__file__).resolve().parents[2]
Draw = Callable[..., Path]


class Words:
    """A Reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    warn = note

    def task(self, name: str, total: int | None) -> object:
        from pipelines.system.progress import Silent

        return Silent().task(name, total)


def _tree(folder: Path) -> dict[str, str]:
    """Path -> hash and time of change of every file."""
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained from scratch on drawn pictures, for new heads to stand on."""
    from tests.conftest import draw

    folder = tmp_path_factory.mktemp("base")
    rng = np.random.default_rng(1)
    for index, name in enumerate(("circle", "square", "triangle")):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(40):
            draw(index, 32, rng).save(folder / "data" / name / f"{number}.png")
    spec = train_spec(
        data=str(folder / "data"),
        out=str(folder / "run"),
        backbone="small_cnn",
        weights="none",
        epochs=8,
        learning_rate=3e-3,
    )
    train(spec)
    return folder / "run"


def _spec(data: Path, out: Path, base: Path, **values: object) -> TrainSpec:
    return with_options(train_spec(data=str(data), out=str(out), backbone=str(base), epochs=12, heads=4), **values)


def _features(manifest: Manifest) -> FeatureRecord:
    assert manifest.features is not None
    return manifest.features


def test_a_network_learns_from_scratch_and_the_run_says_how(base: Path) -> None:
    manifest = read_manifest(base)
    assert manifest.class_names == ("circle", "square", "triangle")
    assert manifest.metrics["test"].accuracy > 0.6  # chance is a third
    assert [stage.name for stage in manifest.stages] == ["from scratch"]
    with open(base / "history.csv", newline="") as stream:
        history = list(csv.DictReader(stream))
    assert len(history) == manifest.stages[0].epochs
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    assert not (base / STATE_FOLDER).exists()


def test_a_new_head_on_the_frozen_base_learns_new_classes(base: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("new", classes=("a", "b", "c", "d"), per_class=40, seed=5)
    before, words = _tree(data), Words()
    manifest = train(_spec(data, tmp_path / "run", base), reporter=words)  # type: ignore[arg-type]
    assert manifest.metrics["validation"].accuracy > 0.4  # chance is a quarter
    # Nothing was written among the user's pictures.
    assert _tree(data) == before
    # The base is the other run's, bit for bit.
    mine, _ = load_run(tmp_path / "run")
    other, _ = load_run(base)
    for one, two in zip(
        mine.get_layer("backbone").get_weights(), other.get_layer("backbone").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    assert any(line.startswith("features: 160 images x 1 view, 0 cached, 160 new") for line in words.lines)
    # The saved model, in float32, says what the cached features said.
    assert manifest.agreement is not None
    assert manifest.agreement.top1_agreement == 1.0
    assert manifest.agreement.max_difference < 0.05


def test_the_second_training_computes_no_feature_and_names_do_not_matter(
    base: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("moved", per_class=15, seed=6)
    train(_spec(data, tmp_path / "one", base))
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        path.rename(path.with_name(f"renamed-{number}.jpeg"))
    again = train(_spec(data, tmp_path / "two", base, seed=3))
    expected = FeatureRecord(images=45, views=1, cached=45, new=0, seconds=0, damaged_shards=0)
    assert replace(_features(again), seconds=0) == expected
    more = image_folder("moved", per_class=1, seed=77, suffix=".bmp")
    third = train(_spec(more, tmp_path / "three", base, batch=8))
    assert [note.split(":")[0] for note in third.notes] == ["--batch"]  # without effect, and the run says so
    assert (_features(third).cached, _features(third).new) == (45, 3)


def test_augmented_views_are_cached_by_seed_and_the_clean_one_is_shared(
    base: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("views", parts={"train": 10, "validation": 5}, seed=8)
    clean = train(_spec(data, tmp_path / "one", base))
    assert _features(clean).new == 45
    views = train(_spec(data, tmp_path / "two", base, augment="light", views=3))
    assert (_features(views).cached, _features(views).new) == (45, 60)
    again = train(_spec(data, tmp_path / "three", base, augment="light", views=3, head="mlp"))
    assert _features(again).new == 0
    other = train(_spec(data, tmp_path / "four", base, augment="light", views=3, seed=1))
    assert _features(other).new == 60
    assert "test" not in views.metrics


def test_a_damaged_shard_is_computed_again_and_the_run_says_so(
    base: Path, image_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = image_folder("damaged", per_class=12, seed=9)
    first = train(_spec(data, tmp_path / "one", base))
    shard = next((tmp_path / "cache").rglob("*.npy"))
    content = bytearray(shard.read_bytes())
    content[-5] ^= 255
    shard.write_bytes(content)
    second = train(_spec(data, tmp_path / "two", base))
    # Each part has a shard of its own: the rows of the damaged one are computed again, and no others.
    assert 0 < _features(second).new < 36
    assert second.notes == ("1 damaged shards of the feature cache were computed again",)
    assert second.metrics == first.metrics


def _weights(run: Path) -> list[np.ndarray]:
    return load_run(run)[0].get_weights()


@pytest.mark.parametrize("values", [{}, {"cache": False, "augment": "light", "epochs": 2}], ids=["cached", "streamed"])
def test_the_same_seed_gives_the_same_weights(
    values: dict[str, object], base: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("seeds", per_class=12, seed=10)
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        train(_spec(data, tmp_path / name, base, seed=seed, head="mlp", hidden=8, **values))
    one, two, three = (_weights(tmp_path / name) for name in ("one", "two", "three"))
    assert all(np.array_equal(first, second) for first, second in zip(one, two, strict=True))
    assert not all(np.array_equal(first, second) for first, second in zip(one, three, strict=True))


def test_streaming_trains_the_head_alone(base: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("stream", per_class=12, seed=11)
    manifest = train(_spec(data, tmp_path / "run", base, cache=False, epochs=2))
    assert manifest.features is None
    mine, other = load_run(tmp_path / "run")[0], load_run(base)[0]
    for one, two in zip(
        mine.get_layer("backbone").get_weights(), other.get_layer("backbone").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_killed_training_goes_on_and_ends_with_the_weights_it_would_have_had(
    image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("killed", per_class=16, seed=12)

    def spec(out: str) -> TrainSpec:
        return train_spec(
            data=str(data), out=str(tmp_path / out), backbone="small_cnn", weights="none", epochs=4, seed=3
        )

    train(spec("whole"))
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pipelines.train import train
from tests.specs import train_spec
out = {str(tmp_path / "stopped")!r}
train(train_spec(data={str(data)!r}, out=out, backbone="small_cnn", weights="none", epochs=4, seed=3))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    state = tmp_path / "stopped" / STATE_FOLDER
    while not list(state.glob("*.npz")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_run(tmp_path / "stopped")
    words = Words()
    train(spec("stopped"), reporter=words)  # type: ignore[arg-type]
    assert "resuming the interrupted training" in words.lines
    whole, resumed = _weights(tmp_path / "whole"), _weights(tmp_path / "stopped")
    assert all(np.array_equal(one, two) for one, two in zip(whole, resumed, strict=True))


def test_unreadable_files_are_named_counted_and_left_out(base: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("broken", per_class=12, seed=13)
    (data / "circle" / "empty.jpg").write_bytes(b"")
    (data / "square" / "page.jpg").write_text("<!DOCTYPE html><html></html>")
    manifest = train(_spec(data, tmp_path / "run", base))
    assert manifest.data.skipped == 2
    with open(tmp_path / "run" / "skipped.csv", newline="") as stream:
        assert sorted(Path(row["path"]).name for row in csv.DictReader(stream)) == ["empty.jpg", "page.jpg"]
    with pytest.raises(UserError, match=r"empty\.jpg"):
        train(_spec(data, tmp_path / "strict", base, strict=True))
    assert not (tmp_path / "strict" / MANIFEST_FILE).exists()


def test_evaluating_the_training_data_judges_only_what_the_run_did_not_see(
    base: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("judged", per_class=30, seed=14)
    manifest = train(_spec(data, tmp_path / "run", base))
    evaluation = evaluate(str(tmp_path / "run"), str(data))
    assert evaluation.part == "test"
    assert evaluation.report == manifest.metrics["test"]
    assert "left out" in evaluation.remarks[0]
    everything = evaluate(str(tmp_path / "run"), str(data), split="all")
    assert everything.report.images == 90
    assert "too good" in everything.remarks[0]
    # The saved model on the pixels says the same as the cached features.
    exact = evaluate(str(tmp_path / "run"), str(data), cache=False)
    assert exact.report.accuracy == pytest.approx(evaluation.report.accuracy, abs=0.15)
    assert exact.report.log_loss == pytest.approx(evaluation.report.log_loss, abs=0.02)


def test_classes_are_matched_by_name_whatever_their_order(base: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("named", per_class=30, seed=15)
    train(_spec(data, tmp_path / "run", base))
    part = image_folder("part", classes=("circle", "square", "triangle"), per_class=10, seed=16)
    whole = evaluate(str(tmp_path / "run"), str(part)).report
    import shutil

    shutil.rmtree(part / "circle")  # now `square` would be number 0 if the folder were listed again
    some = evaluate(str(tmp_path / "run"), str(part)).report
    assert some.images == 20
    assert some.confusion_matrix[1:] == whole.confusion_matrix[1:]
    (part / "square").rename(part / "rhombus")
    with pytest.raises(UserError, match="rhombus") as caught:
        evaluate(str(tmp_path / "run"), str(part))
    assert "circle" in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backbone": "mobilnet"}, "unknown backbone: `mobilnet`"),
        ({"backbone": "runs/nothing"}, "runs/nothing"),
        ({"head": "liner"}, "unknown head: `liner`"),
        ({"hidden": 5}, "no hidden layer"),
        ({"backbone": "small_cnn", "weights": "none", "fine_tune": "1"}, "nothing to fine-tune"),
        ({"views": 4}, "need an augmentation policy"),
        ({"weights": "none"}, "backbone of your own"),
        ({"backbone": "vgg16", "weights": "nowhere.h5"}, "no weights file `nowhere.h5`"),
        ({"augment": "lihgt"}, "lihgt"),
        ({"engine": "tensorflw"}, "tensorflw"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    values: dict[str, object], words: str, base: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("sense", per_class=5)
    with pytest.raises(UserError) as caught:
        train(_spec(data, tmp_path / "run", base, **values))
    assert words in caught.value.message
    assert not (tmp_path / "run").exists()


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


def test_what_is_known_of_the_pictures_changes_the_views_and_their_place_in_the_cache(
    base: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("switches", parts={"train": 6, "validation": 3}, seed=21)
    first = train(_spec(data, tmp_path / "one", base, augment="light", views=2))
    assert _features(first).new == 27 + 18
    for number, switch in enumerate(("no_flip", "rotate90")):
        other = train(_spec(data, tmp_path / str(number), base, augment="light", views=2, **{switch: True}))
        assert (_features(other).cached, _features(other).new) == (27, 18)
