"""Members become one run: its model gives what it records, and only members within the budget have a weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from models.arrays import Doubles, Probabilities
from models.errors import UserError
from pipelines.ensembles.join import join
from pipelines.ensembles.joined_run import JoinedRun
from pipelines.ensembles.member_predictions import EnsembleRequest, Images, LoadedMember, MemberPredictions
from pipelines.ensembles.methods import METHODS
from pipelines.ensembles.selection import Budget
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.runs.examples import Example, Split
from pipelines.runs.layout import is_run
from pipelines.runs.manifest import DataRecord, Manifest, RunRequest
from pipelines.runs.models import load_run, save_model
from pipelines.runs.split_file import read_split
from tests.pipelines.manifests import manifest_with
from tests.pipelines.pictures import sha256_of
from tests.pipelines.reporters import Notes

SIDE = 2
NAMES = ("dark", "light")
# Twelve validation images and four test images: grey values, and whether each is light.
GREYS: dict[Split, list[int]] = {
    "validation": [20, 50, 80, 110, 120, 140, 150, 170, 190, 200, 220, 250],
    "test": [10, 100, 160, 240],
}


def images_in(folder: Path, parts: Sequence[Split] = ("validation", "test")) -> Images:
    """Grey pictures; 120 is labelled light and 150 dark, so that no sharpness is right about all."""
    folder.mkdir()
    examples: dict[Split, tuple[Example, ...]] = {"validation": (), "test": ()}
    for part in parts:
        for grey in GREYS[part]:
            path = folder / f"{grey}.png"
            Image.new("RGB", (SIDE, SIDE), (grey, grey, grey)).save(path)
            label = int(grey > 128) if grey not in (120, 150) else int(grey < 128)
            example = Example(path=str(path), label=label, split=part, sha256=sha256_of(path), source=str(path))
            examples[part] = (*examples[part], example)
    fitted, test = examples["validation"], examples["test"]
    return Images(fitted=fitted, test=test, all=(*fitted, *test), class_names=NAMES)


def chances(greys: Sequence[int], sharpness: float) -> Doubles:
    """(images, 2): a logistic curve of the grey value, in NumPy."""
    light = 1 / (1 + np.exp(-sharpness * (np.asarray(greys, np.float64) - 128)))
    return np.stack([1 - light, light], axis=1)


def model_in(folder: Path, images: Images, sharpness: float, *, fold: int | None = None, size: int = 0) -> LoadedMember:
    """The same curve as a network; its file has `size` bytes if that is given."""
    folder.mkdir(parents=True)
    pixels = keras.Input((SIDE, SIDE, 3))
    dense = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(pixels, dense(keras.layers.GlobalAveragePooling2D()(pixels)))
    kernel = np.tile(np.array([0.0, sharpness / 3], np.float32), (3, 1))
    dense.set_weights([kernel, np.array([0.0, -128 * sharpness], np.float32)])
    save_model(model, folder)
    if size:
        (folder / "model.keras").write_bytes(bytes(size))
    return LoadedMember(
        name=folder.name,
        folder=folder,
        manifest=manifest_with(class_names=NAMES, image_size=SIDE),
        model=model,
        columns=(0, 1),
        fold=fold,
        test=chances(GREYS["test"] if images.test else [], sharpness),
    )


def member_in(
    folder: Path, images: Images, sharpness: float, *, num_folds: int = 0, size: int = 0
) -> MemberPredictions:
    """One model, or equal models of as many folds."""
    folds = range(num_folds) if num_folds else (None,)
    suffix = "-f{}" if num_folds else ""
    return MemberPredictions(
        name=folder.name,
        models=tuple(
            model_in(folder.with_name(folder.name + suffix.format(fold)), images, sharpness, fold=fold, size=size)
            for fold in folds
        ),
        probabilities=chances(GREYS["validation"], sharpness),
        folds=np.arange(12) % num_folds if num_folds else None,
    )


def joined(
    folder: Path,
    members: Sequence[MemberPredictions],
    images: Images,
    *,
    method: str = "mean",
    budget: Budget | None = None,
    reporter: Notes | None = None,
) -> Manifest:
    folder.mkdir()
    request = EnsembleRequest(method=METHODS[method], name=method, budget=budget or Budget())
    data = DataRecord(root="photos", origin="folders", images={}, skipped=0)
    run = JoinedRun(folder=folder, spec=RunRequest(), data=data, notes=("a note",), seconds={"members": 2.5})
    return join(members, images, request, run, reporter=reporter or Notes())


def saved(folder: Path, part: Split) -> Probabilities:
    predictions = read_predictions(folder, part)
    assert predictions is not None
    return predictions.probabilities


def tempered(probabilities: Doubles, manifest: Manifest) -> Doubles:
    """Raised to 1 / temperature and normalised again."""
    assert manifest.leaderboard is not None
    raised = probabilities ** (1 / (manifest.leaderboard.temperature or 1.0))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def test_the_saved_model_and_predictions_are_the_mean_of_the_members(tmp_path: Path) -> None:
    images = images_in(tmp_path / "images")
    members = [member_in(tmp_path / name, images, sharpness) for name, sharpness in (("soft", 0.02), ("hard", 0.1))]
    manifest = joined(tmp_path / "run", members, images)
    for part in GREYS:
        expected = tempered((chances(GREYS[part], 0.02) + chances(GREYS[part], 0.1)) / 2, manifest)
        np.testing.assert_allclose(saved(tmp_path / "run", part), expected, atol=1e-5)
    pixels = np.stack([np.full((SIDE, SIDE, 3), grey, np.float32) for grey in GREYS["test"]])
    np.testing.assert_allclose(load_run(tmp_path / "run")[0](pixels), expected, atol=1e-4)
    assert manifest.agreement is not None
    assert (manifest.agreement.images, manifest.agreement.top1_agreement) == (4, 1.0)
    assert manifest.agreement.max_difference < 1e-4


def test_a_fitted_temperature_is_in_the_saved_model_and_in_all_predictions(tmp_path: Path) -> None:
    images = images_in(tmp_path / "images")
    # Ten of twelve are correct, with probabilities between 0.5 and 0.7.
    members = [member_in(tmp_path / name, images, sharpness) for name, sharpness in (("shy", 0.005), ("soft", 0.01))]
    manifest = joined(tmp_path / "run", members, images)
    assert manifest.leaderboard is not None and manifest.leaderboard.temperature is not None
    assert manifest.leaderboard.temperature < 0.8
    for part in GREYS:
        expected = tempered((chances(GREYS[part], 0.005) + chances(GREYS[part], 0.01)) / 2, manifest)
        np.testing.assert_allclose(saved(tmp_path / "run", part), expected, atol=1e-5)
    pixels = np.stack([np.full((SIDE, SIDE, 3), grey, np.float32) for grey in GREYS["test"]])
    np.testing.assert_allclose(load_run(tmp_path / "run")[0](pixels), expected, atol=1e-4)


def test_members_are_joined_when_their_images_are_gone_or_changed(tmp_path: Path) -> None:
    images, notes = images_in(tmp_path / "images"), Notes()
    members = [member_in(tmp_path / name, images, sharpness) for name, sharpness in (("soft", 0.02), ("hard", 0.1))]
    gone, changed, *_ = images.test
    Path(gone.path).unlink()
    Path(changed.path).write_bytes(b"something else")
    some = joined(tmp_path / "some", members, images, reporter=notes)
    assert some.agreement is not None
    assert (some.agreement.images, some.agreement.top1_agreement) == (2, 1.0)
    for example in images.test[2:]:
        Path(example.path).unlink()
    none = joined(tmp_path / "none", members, images, reporter=notes)
    assert none.agreement is None
    assert any("was not compared with its members" in line for line in notes.lines)
    assert none.metrics == some.metrics


def test_the_run_is_complete_and_names_its_members(tmp_path: Path) -> None:
    images = images_in(tmp_path / "images")
    members = [member_in(tmp_path / name, images, sharpness) for name, sharpness in (("soft", 0.02), ("hard", 0.1))]
    manifest = joined(tmp_path / "run", members, images)
    assert is_run(tmp_path / "run")
    assert [example.path for example in read_split(tmp_path / "run", NAMES)] == [image.path for image in images.all]
    assert (manifest.order, manifest.backbone.name, manifest.head.name) == (("soft", "hard"), "net", "ensemble")
    assert (manifest.notes, manifest.image_size, manifest.class_names) == (("a note",), SIDE, NAMES)
    assert manifest.seconds["members"] == 2.5 and manifest.seconds["join"] > 0
    # Ten of twelve: 120 and 150 are labelled against every curve.
    assert manifest.metrics["validation"].accuracy == pytest.approx(10 / 12)
    assert manifest.metrics["test"].accuracy == 1.0


def test_a_member_beyond_the_budget_is_ranked_but_has_no_weight(tmp_path: Path) -> None:
    images = images_in(tmp_path / "images")
    large = member_in(tmp_path / "large", images, 0.1, size=3_000_000)
    small = member_in(tmp_path / "small", images, 0.02)
    manifest = joined(tmp_path / "run", [large, small], images, budget=Budget(size_mb=1.0))
    assert manifest.order == ("small",)
    assert {row.name: row.weight for row in manifest.members} == {"large": 0.0, "small": 1.0}
    np.testing.assert_allclose(
        saved(tmp_path / "run", "test"), tempered(chances(GREYS["test"], 0.02), manifest), atol=1e-5
    )


def test_no_member_within_the_budget_is_an_error_and_no_run(tmp_path: Path) -> None:
    images = images_in(tmp_path / "images")
    with pytest.raises(UserError, match="no member fits the budget"):
        joined(tmp_path / "run", [member_in(tmp_path / "net", images, 0.1)], images, budget=Budget(size_mb=1e-6))
    assert not is_run(tmp_path / "run")


@pytest.mark.parametrize("method", ["mean", "stack"])
def test_equal_models_of_two_folds_predict_as_one_of_them(method: str, tmp_path: Path) -> None:
    images = images_in(tmp_path / "images")
    for name, num_folds in (("plain", 0), ("folded", 2)):
        members = [
            member_in(tmp_path / f"{name}-{kind}", images, sharpness, num_folds=num_folds)
            for kind, sharpness in (("soft", 0.02), ("hard", 0.1))
        ]
        manifest = joined(tmp_path / name, members, images, method=method)
        assert manifest.agreement is not None and manifest.agreement.max_difference < 1e-4
    assert manifest.order == ("folded-soft-f0", "folded-soft-f1", "folded-hard-f0", "folded-hard-f1")
    assert [row.weight for row in manifest.members] == [0.25] * 4
    for part in GREYS:
        np.testing.assert_allclose(saved(tmp_path / "folded", part), saved(tmp_path / "plain", part), atol=1e-5)


@pytest.mark.parametrize(("num_folds", "num_images"), [(0, 12), (2, None)])
def test_without_test_images_only_predictions_out_of_fold_are_not_compared(
    num_folds: int, num_images: int | None, tmp_path: Path
) -> None:
    images = images_in(tmp_path / "images", ("validation",))
    manifest = joined(tmp_path / "run", [member_in(tmp_path / "net", images, 0.1, num_folds=num_folds)], images)
    assert (manifest.agreement and manifest.agreement.images) == num_images
    assert list(manifest.metrics) == ["validation"]
