"""Training on drawn pictures end to end: from scratch, then new heads on that network's frozen base."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.runs.layout import MANIFEST_FILE, STATE_FOLDER, is_run
from pipelines.runs.ownership import foreign_files
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.spec import TrainSpec
from pipelines.train import train
from tests.pipelines.killed import train_until
from tests.pipelines.new_heads import are_equal, assert_same_backbone, spec_on, weights_of
from tests.pipelines.reporters import Notes
from tests.specs import train_spec

Draw = Callable[..., Path]


def tree(folder: Path) -> dict[str, str]:
    """Path -> hash and time of change of every file."""
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_network_learns_from_scratch_and_leaves_its_history(drawn: Path) -> None:
    run = drawn / "one"
    manifest = read_manifest(run)
    assert manifest.class_names == ("circle", "square", "triangle")
    assert manifest.metrics["test"].accuracy > 0.6  # chance is a third
    assert [stage.name for stage in manifest.stages] == ["from scratch"]
    with open(run / "history.csv", newline="") as stream:
        history = list(csv.DictReader(stream))
    assert len(history) == manifest.stages[0].epochs
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    assert not (run / STATE_FOLDER).exists()
    assert foreign_files(run) == []  # `--force` can replace it


def test_a_new_head_on_the_frozen_base_learns_new_classes(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("new", classes=("a", "b", "c", "d"), per_class=40, seed=5)
    before, notes = tree(data), Notes()
    manifest = train(spec_on(drawn, data, tmp_path / "run"), reporter=notes)
    assert manifest.metrics["validation"].accuracy > 0.4  # chance is a quarter
    # Nothing was written into the user's folder.
    assert tree(data) == before
    # The backbone is that of the other run, bit for bit.
    assert_same_backbone(tmp_path / "run", drawn / "one")
    assert any(line.startswith("features: 160 images x 1 view, 0 cached, 160 new") for line in notes.lines)
    # The saved model, in float32, agrees with the cached features.
    assert manifest.agreement is not None
    assert manifest.agreement.top1_agreement == 1.0
    assert manifest.agreement.max_difference < 0.05


@pytest.mark.parametrize("options", [{}, {"cache": False, "augment": "light", "epochs": 1}], ids=["cached", "streamed"])
def test_the_same_seed_gives_the_same_weights(
    options: dict[str, object], drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("seeds", per_class=8, seed=10)
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        train(spec_on(drawn, data, tmp_path / name, seed=seed, head="mlp", hidden=8, **options))
    one, two, three = (weights_of(tmp_path / name) for name in ("one", "two", "three"))
    assert are_equal(one, two)
    assert not are_equal(one, three)


def test_a_killed_training_resumes_and_ends_with_the_weights_of_an_unbroken_one(
    image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("killed", per_class=8, seed=12)

    def spec(out: str) -> TrainSpec:
        return train_spec(
            data=str(data), out=str(tmp_path / out), backbone="small_cnn", weights="none", epochs=3, seed=3
        )

    train(spec("whole"))
    train_until("from scratch epoch 2/3", spec("stopped"))
    assert not is_run(tmp_path / "stopped")
    notes = Notes()
    train(spec("stopped"), reporter=notes)
    assert "resuming the interrupted training" in notes.lines
    assert are_equal(weights_of(tmp_path / "whole"), weights_of(tmp_path / "stopped"))


def test_unreadable_files_are_named_counted_and_left_out(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("broken", per_class=12, seed=13)
    (data / "circle" / "empty.jpg").write_bytes(b"")
    (data / "square" / "page.jpg").write_text("<!DOCTYPE html><html></html>")
    manifest = train(spec_on(drawn, data, tmp_path / "run"))
    assert manifest.data.skipped == 2
    with open(tmp_path / "run" / "skipped.csv", newline="") as stream:
        assert sorted(Path(row["path"]).name for row in csv.DictReader(stream)) == ["empty.jpg", "page.jpg"]
    assert foreign_files(tmp_path / "run") == []
    with pytest.raises(UserError, match=r"empty\.jpg"):
        train(spec_on(drawn, data, tmp_path / "strict", strict=True))
    assert not (tmp_path / "strict" / MANIFEST_FILE).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "mobilnet"}, "unknown backbone: `mobilnet`"),
        ({"backbone": "runs/nothing"}, "runs/nothing"),
        ({"head": "liner"}, "unknown head: `liner`"),
        ({"hidden": 5}, "no hidden layer"),
        ({"backbone": "small_cnn", "weights": "none", "fine_tune": "1"}, "nothing to fine-tune"),
        ({"fine_tune": "0"}, "`--fine-tune 0` trains no block"),
        ({"views": 4}, "need an augmentation policy"),
        ({"weights": "none"}, "backbone of your own"),
        ({"backbone": "vgg16", "weights": "nowhere.h5"}, "no weights file `nowhere.h5`"),
        ({"augment": "lihgt"}, "lihgt"),
        ({"engine": "tensorflw"}, "tensorflw"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_written(
    options: dict[str, object], words: str, drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data = image_folder("sense", per_class=5)
    with pytest.raises(UserError) as caught:
        train(spec_on(drawn, data, tmp_path / "run", **options))
    assert words in caught.value.message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("blocks", ["nosuch", "99"])
def test_blocks_that_the_backbone_lacks_are_refused_before_a_head_is_trained(
    blocks: str, cache: bool, drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    data, notes = image_folder("blocks", per_class=5), Notes()
    with pytest.raises(UserError, match=r"no block `nosuch`|99 blocks"):
        train(spec_on(drawn, data, tmp_path / "run", fine_tune=blocks, cache=cache, epochs=1), reporter=notes)
    assert not [line for line in notes.lines if "features:" in line or "epoch " in line]
    assert not (tmp_path / "run").exists()
