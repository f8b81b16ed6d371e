"""Joining runs trained apart: classes by name, images that no member was trained on, members that are damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from models.errors import UserError
from pipelines.ensemble import ensemble
from pipelines.evaluate import evaluate
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.predict import predict
from pipelines.runs.ensemble_spec import EnsembleSpec
from pipelines.runs.folder import finish_run
from pipelines.runs.layout import is_run
from pipelines.runs.manifest import BackboneRecord, DataRecord, Manifest
from pipelines.runs.models import save_model
from pipelines.runs.split_file import read_split
from pipelines.runs.square import Fit
from pipelines.system.files import write_csv
from tests.conftest import Result
from tests.pipelines.manifests import manifest_with
from tests.pipelines.reporters import Notes

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SIDE = 8
Split = Callable[[int], str]


def by_number(number: int) -> str:
    """Of every eight images one validates and one tests."""
    return {0: "validation", 1: "test"}.get(number % 8, "train")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Sixteen noisy pictures of each colour."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(16):
            pixels = np.clip(rng.normal(colour, 30, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number:02d}.png")
    return tmp_path / "data"


def make_run(
    folder: Path,
    pictures: Path,
    class_names: Sequence[str],
    *,
    split: Split = by_number,
    sharpness: float = 0.02,
    fit: Fit = "squash",
) -> Path:
    """A run whose model goes by the mean colour, written by hand; its outputs stand in the order of `class_names`."""
    folder.mkdir()
    pixels = keras.Input((SIDE, SIDE, 3))
    dense = keras.layers.Dense(len(class_names), activation="softmax")
    model = keras.Model(pixels, dense(keras.layers.GlobalAveragePooling2D()(pixels)))
    kernel = np.zeros((3, len(class_names)), np.float32)
    for place, name in enumerate(class_names):
        kernel[list(COLOURS).index(name), place] = sharpness
    dense.set_weights([kernel, np.zeros(len(class_names), np.float32)])
    save_model(model, folder)
    rows = [
        (str(path), name, split(number), hashlib.sha256(path.read_bytes()).hexdigest())
        for name in class_names
        for number, path in enumerate(sorted((pictures / name).iterdir()))
    ]
    write_csv(folder / "split.csv", ("path", "label", "split", "sha256"), rows)
    backbone = BackboneRecord(name="colour", weights="none", parameters=0)
    data = DataRecord(root=str(pictures), origin="folders", images={}, skipped=0)
    finish_run(
        folder,
        manifest_with(class_names=tuple(class_names), image_size=SIDE, backbone=backbone, data=data, fit=fit),
    )
    return folder


def join(tmp_path: Path, *members: Path, **values: object) -> tuple[Manifest, Notes]:
    notes = Notes()
    spec = EnsembleSpec(runs=tuple(map(str, members)), out=str(tmp_path / "joined"), **values)  # type: ignore[arg-type]
    return ensemble(spec, reporter=notes), notes


def test_classes_are_matched_by_name_and_the_result_is_a_run(pictures: Path, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", pictures, ("red", "green", "blue"))
    other = make_run(tmp_path / "other", pictures, ("blue", "red", "green"))
    manifest, _ = join(tmp_path, one, other, method="mean")
    assert manifest.class_names == ("red", "green", "blue")
    # By number two thirds of the answers would be at odds.
    assert manifest.metrics["test"].accuracy == 1.0
    assert manifest.leaderboard is not None and manifest.agreement is not None
    assert np.max(manifest.leaderboard.disagreement) == 0
    assert manifest.agreement.max_difference < 1e-4
    judged = evaluate(str(tmp_path / "joined"), str(pictures))
    assert judged.report == manifest.metrics["test"]
    columns, rows = predict(str(tmp_path / "joined"), [str(pictures / "green")])
    assert columns.class_names == manifest.class_names and columns.is_ensemble
    assert {row.label for row in rows} == {"green"}


@pytest.mark.parametrize("method", ["greedy", "weighted", "vote", "geometric", "stack"])
def test_every_method_ends_in_a_run_that_does_what_it_foretold(method: str, pictures: Path, tmp_path: Path) -> None:
    members = [
        make_run(tmp_path / str(number), pictures, tuple(COLOURS), sharpness=number / 100) for number in (1, 2, 3)
    ]
    manifest, _ = join(tmp_path, *members, method=method)
    assert manifest.agreement is not None
    assert (manifest.agreement.images, manifest.agreement.top1_agreement) == (6, 1.0)
    assert manifest.agreement.max_difference == pytest.approx(0, abs=1e-4)
    assert sum(member.weight for member in manifest.members) == pytest.approx(1)


def test_weights_are_fitted_on_validation_images_alone(pictures: Path, tmp_path: Path) -> None:
    members = [make_run(tmp_path / name, pictures, tuple(COLOURS)) for name in ("one", "other")]
    manifest, notes = join(tmp_path, *members)
    assert manifest.metrics["validation"].images == 6
    assert manifest.metrics["test"].images == 6
    assert any("only 6 validation images" in line for line in notes.lines)


def test_an_image_that_one_member_was_trained_on_decides_nothing(pictures: Path, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", pictures, tuple(COLOURS), split=lambda number: ["validation", "test"][number % 2])
    other = make_run(
        tmp_path / "other",
        pictures,
        tuple(COLOURS),
        split=lambda number: ["validation", "train", "train", "test"][number % 4],
    )
    manifest, _ = join(tmp_path, one, other)
    assert manifest.metrics["validation"].images == 12  # numbers 0, 4, 8, 12 of three classes
    assert manifest.metrics["test"].images == 12  # numbers 3, 7, 11, 15
    parts = {example.path: example.split for example in read_split(tmp_path / "joined", manifest.class_names)}
    assert parts[str(pictures / "red" / "01.png")] == "train"
    assert parts[str(pictures / "red" / "02.png")] == "train"


def test_no_common_validation_image_is_an_error(pictures: Path, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", pictures, tuple(COLOURS))
    other = make_run(tmp_path / "other", pictures, tuple(COLOURS), split=lambda number: by_number(number + 4))
    with pytest.raises(UserError, match="no validation image in common"):
        join(tmp_path, one, other)
    assert not (tmp_path / "joined").exists()


def test_answers_out_of_fold_validate_training_images(pictures: Path, tmp_path: Path) -> None:
    members = [
        make_run(tmp_path / name, pictures, tuple(COLOURS), split=lambda number: "test" if number % 8 == 1 else "train")
        for name in ("one", "other")
    ]
    for member in members:
        examples = [example for example in read_split(member, tuple(COLOURS)) if example.split == "train"]
        labels = np.array([example.label for example in examples], np.int32)
        # Half of them wrong, as no model answers: the kept answers are what counts.
        said = np.where(np.arange(len(labels)) % 2, labels, (labels + 1) % 3)
        probabilities = np.full((len(labels), 3), 0.1, np.float32)
        probabilities[np.arange(len(labels)), said] = 0.8
        save_predictions(member, {"validation": (probabilities, labels)}, {"validation": examples})
    manifest, _ = join(tmp_path, *members, method="mean")
    assert manifest.metrics["validation"].images == 42
    assert manifest.metrics["validation"].accuracy == 0.5


def test_a_member_that_lacks_a_class_is_named_and_takes_part(pictures: Path, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", pictures, tuple(COLOURS))
    other = make_run(tmp_path / "other", pictures, ("blue", "red"))
    third = make_run(tmp_path / "third", pictures, tuple(COLOURS))
    # Only images of classes that every member saw can be common to all.
    manifest, notes = join(tmp_path, one, other, third, method="mean")
    assert manifest.class_names == tuple(COLOURS)
    assert any(f"`{other}` does not know `green`" in line for line in notes.lines)
    _, rows = predict(str(tmp_path / "joined"), [str(pictures)])
    assert [row.label for row in rows] == [name for name in sorted(COLOURS) for _ in range(16)]


def test_members_none_of_which_knows_all_classes_are_refused(pictures: Path, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", pictures, ("red", "green"))
    other = make_run(tmp_path / "other", pictures, ("red", "blue"))
    with pytest.raises(UserError, match=r"no member knows all 3 classes: .*one` lacks `blue`; .*other` lacks `green`"):
        join(tmp_path, one, other)


@pytest.mark.parametrize("damage", ["model.keras", "run.json", "split.csv", "answers.npz"])
def test_a_damaged_member_is_named(damage: str, pictures: Path, tmp_path: Path) -> None:
    one, other = (make_run(tmp_path / name, pictures, tuple(COLOURS)) for name in ("one", "other"))
    (other / damage).write_bytes(b"PK\x03\x04 no more than a beginning")
    with pytest.raises(UserError) as caught:
        join(tmp_path, one, other)
    assert str(other) in caught.value.message
    assert not is_run(tmp_path / "joined")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_size": 1e-6}, "no member fits the budget of 1e-06 MB"),
        ({"method": "greed"}, "unknown ensemble method: `greed`"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], words: str, pictures: Path, tmp_path: Path) -> None:
    members = [make_run(tmp_path / name, pictures, tuple(COLOURS)) for name in ("one", "other")]
    with pytest.raises(UserError) as caught:
        join(tmp_path, *members, **values)
    assert words in caught.value.message
    assert not is_run(tmp_path / "joined")


def test_members_that_see_different_parts_of_an_image_are_refused_before_anything_is_written(
    pictures: Path, tmp_path: Path
) -> None:
    squashed = make_run(tmp_path / "squashed", pictures, list(COLOURS))
    cropped = make_run(tmp_path / "cropped", pictures, list(COLOURS), fit="crop")
    words = r"squashed` was trained with --fit squash, .*cropped` with --fit crop"
    with pytest.raises(UserError, match=words) as caught:
        join(tmp_path, squashed, cropped)
    assert "train all of them with one --fit" in caught.value.hint
    assert not (tmp_path / "joined").exists()


def test_members_that_see_the_same_part_of_an_image_make_a_model_that_sees_it(pictures: Path, tmp_path: Path) -> None:
    for path in pictures.rglob("*.png"):
        wide = Image.new("RGB", (3 * SIDE, SIDE), "white")
        wide.paste(Image.open(path), (SIDE, 0))
        wide.save(path)
    members = [
        make_run(tmp_path / name, pictures, list(COLOURS), fit="crop", sharpness=sharpness)
        for name, sharpness in (("one", 0.02), ("two", 0.01))
    ]
    joined, _ = join(tmp_path, *members)
    assert joined.fit == "crop"
    # The joined model is given the test images, and its members predicted them before.
    assert joined.agreement is not None
    assert joined.agreement.max_difference < 1e-5


def test_rows_say_how_far_members_agree_and_what_each_says(pictures: Path, tmp_path: Path) -> None:
    sure = make_run(tmp_path / "sure", pictures, tuple(COLOURS), sharpness=0.05)
    # Takes the darkest colour for the brightest: it is always wrong, and not so sure.
    wrong = make_run(tmp_path / "wrong", pictures, tuple(COLOURS), sharpness=-0.02)
    join(tmp_path, sure, wrong, method="mean")
    _, rows = predict(str(tmp_path / "joined"), [str(pictures / "blue")], members=True)
    for row in rows:
        assert row.label == "blue"
        assert row.agreement == 0.5
        assert [(name, label == "blue") for name, label, _ in row.members] == [("sure", True), ("wrong", False)]
        assert row.entropy is not None
        shares = [share for _, share in row.top_k]
        assert row.entropy == pytest.approx(-sum(share * np.log(share) for share in shares), abs=1e-5)
    _, rows = predict(str(sure), [str(pictures / "blue")])
    assert {row.agreement for row in rows} == {None}
    with pytest.raises(UserError, match="has no members"):
        predict(str(sure), [str(pictures / "blue")], members=True)


def test_one_run_or_the_same_run_twice_is_no_ensemble(pictures: Path, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", pictures, tuple(COLOURS))
    with pytest.raises(UserError, match="at least two"):
        join(tmp_path, one)
    with pytest.raises(UserError, match="given twice"):
        join(tmp_path, one, tmp_path / "." / "one")


def test_an_ensemble_can_be_joined_again(pictures: Path, tmp_path: Path) -> None:
    members = [make_run(tmp_path / name, pictures, tuple(COLOURS)) for name in ("one", "other", "third")]
    join(tmp_path, *members[:2])
    spec = EnsembleSpec(runs=(str(tmp_path / "joined"), str(members[2])), out=str(tmp_path / "again"), method="mean")
    manifest = ensemble(spec)
    assert manifest.metrics["test"].accuracy == 1.0
    assert [member.name for member in manifest.members] == ["joined", "third"]


def test_the_command_prints_a_leaderboard_and_a_verdict(
    pictures: Path, tmp_path: Path, headstart: Callable[..., Result]
) -> None:
    members = [make_run(tmp_path / name, pictures, tuple(COLOURS)) for name in ("one", "other")]
    joined = headstart("ensemble", *members, "--out", tmp_path / "joined", "--method", "mean")
    assert joined.code == 0
    assert joined.out == ""
    assert "ensemble vs best member: +0.0 points" in joined.err
    assert "` alone" in joined.err
    # Pages are as wide as a terminal; a warning is one line, however long.
    lines = joined.err.split("the run is in")[0].splitlines()[1:]
    assert max(len(line) for line in lines if not line.startswith("warning: ")) <= 80
    rows = headstart("predict", tmp_path / "joined", pictures / "red" / "00.png", "--members", "--format", "jsonl")
    assert rows.code == 0
    assert '"agreement": 1.0' in rows.out
    assert '"member": "other"' in rows.out
    refused = headstart("ensemble", members[0], "--out", tmp_path / "alone")
    assert (refused.code, "at least two" in refused.err) == (1, True)
