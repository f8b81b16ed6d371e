"""Members of one training are loaded with predictions of images that their models were not trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import UserError
from pipelines.data.folds import divide_folds
from pipelines.ensembles.methods import METHODS
from pipelines.ensembles.trained_members import LoadedMembers, load_members
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.members.spec import Member, list_members
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.examples import Dataset, Example, Split
from pipelines.runs.folder import finish_run
from pipelines.runs.models import save_model
from tests.pipelines.manifests import manifest_with
from tests.specs import train_spec

SEED = 5


def example(number: int, split: Split) -> Example:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return Example(path=f"/photos/{number:02d}", label=number % 2, split=split, sha256=sha256, source="")


# Six training images, then three for validation, then two for the test.
PARTS: tuple[Split, ...] = ("train",) * 6 + ("validation",) * 3 + ("test",) * 2
DATASET = Dataset(
    root="/photos",
    origin="folders",
    class_names=("cat", "dog"),
    examples=tuple(example(number, part) for number, part in enumerate(PARTS)),
)


def spec_with(
    backbones: tuple[str, ...] = ("a",), *, seeds: int = 1, folds: int = 0, boost: bool = False
) -> MembersSpec:
    return MembersSpec(
        common=train_spec(seed=SEED),
        backbones=backbones,
        heads=("linear",),
        seeds=seeds,
        folds=folds,
        boost=boost,
        method="vote",
    )


def chance_of_cat(image: Example, member: str) -> float:
    """What a member predicts of an image: no two members or images have the same."""
    digest = hashlib.sha256(f"{image.path} {member}".encode()).digest()
    return digest[0] / 256 + digest[1] / 65536


def rows_of(images: tuple[Example, ...], member: str) -> np.ndarray:
    chances = np.array([chance_of_cat(image, member) for image in images], np.float32)
    return np.stack([chances, 1 - chances], axis=1)


def write_member(folder: Path, member: Member, dataset: Dataset) -> None:
    """A run that predicts the validation and test images of its data set."""
    path = folder / "members" / member.name
    path.mkdir(parents=True)
    save_model(keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]), path)
    images: dict[Split, tuple[Example, ...]] = {
        part: dataset.part(part) for part in ("validation", "test") if dataset.part(part)
    }
    predictions = {
        part: (rows_of(examples, member.name), np.array([image.label for image in examples], np.int32))
        for part, examples in images.items()
    }
    save_predictions(path, predictions, images)
    finish_run(path, manifest_with(image_size=2))


def loaded_from(
    folder: Path,
    spec: MembersSpec,
    *,
    dataset: Dataset = DATASET,
    failed: tuple[str, ...] = (),
) -> LoadedMembers:
    """Write the members but those that failed, and load them."""
    members = [member for member in list_members(spec) if member.name not in failed]
    folds = divide_folds(dataset, spec.folds, seed=SEED) if spec.folds else ()
    for member in members:
        of_member = dataset if member.fold is None else folds[member.fold]
        write_member(folder, member, of_member)
    return load_members(members, folder, dataset, spec, METHODS["vote"])


def test_members_predict_the_validation_and_test_images_of_the_data(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path, spec_with(("a", "b")))
    assert [member.name for member in loaded.predictions] == ["a", "b"]
    for member in loaded.predictions:
        assert member.folds is None
        np.testing.assert_array_equal(member.probabilities, rows_of(DATASET.examples[6:9], member.name))
        np.testing.assert_array_equal(member.test, rows_of(DATASET.examples[9:], member.name))
    assert loaded.images.fitted == DATASET.examples[6:9]
    assert loaded.images.test == DATASET.examples[9:]
    assert loaded.images.all == DATASET.examples
    assert loaded.images.class_names == ("cat", "dog")
    assert loaded.notes == ()


def test_a_loaded_member_knows_its_run(tmp_path: Path) -> None:
    (model,) = loaded_from(tmp_path, spec_with()).predictions[0].models
    assert (model.name, model.folder, model.fold, model.columns) == ("a", tmp_path / "members" / "a", None, (0, 1))
    assert model.manifest.class_names == ("cat", "dog")
    assert model.model.input_shape == (None, 2, 2, 3)


def test_an_image_is_predicted_by_the_model_of_the_fold_that_held_it_out(tmp_path: Path) -> None:
    (member,) = loaded_from(tmp_path, spec_with(folds=3)).predictions
    assert member.name == "a"
    assert [(model.name, model.fold) for model in member.models] == [("a-f0", 0), ("a-f1", 1), ("a-f2", 2)]
    divided = divide_folds(DATASET, 3, seed=SEED)
    held_out = {image.path: fold for fold, data in enumerate(divided) for image in data.part("validation")}
    assert member.folds is not None
    assert member.folds.tolist() == [held_out[image.path] for image in DATASET.examples[:9]]
    for image, row in zip(DATASET.examples[:9], member.probabilities, strict=True):
        assert row[0] == pytest.approx(chance_of_cat(image, f"a-f{held_out[image.path]}"))


def test_with_folds_no_image_validates_the_ensemble(tmp_path: Path) -> None:
    images = loaded_from(tmp_path, spec_with(folds=3)).images
    assert [image.path for image in images.fitted] == [image.path for image in DATASET.examples[:9]]
    assert [image.split for image in images.all] == ["train"] * 9 + ["test"] * 2


def test_a_group_that_lacks_a_fold_is_left_out_with_a_note(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path, spec_with(("a", "b"), folds=3), failed=("a-f1",))
    assert [member.name for member in loaded.predictions] == ["b"]
    assert loaded.notes == ("a is left out: one of its folds failed",)


def test_groups_that_all_lack_a_fold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="each group of folds has lost a member"):
        loaded_from(tmp_path, spec_with(("a", "b"), folds=3), failed=("a-f0", "b-f2"))


def test_a_member_without_test_images_has_no_rows_for_them(tmp_path: Path) -> None:
    without = Dataset(root="/photos", origin="folders", class_names=("cat", "dog"), examples=DATASET.examples[:9])
    loaded = loaded_from(tmp_path, spec_with(), dataset=without)
    assert loaded.images.test == ()
    assert loaded.predictions[0].test.shape == (0, 2)


def test_the_request_is_what_the_spec_names(tmp_path: Path) -> None:
    request = loaded_from(tmp_path, spec_with(seeds=2)).request
    assert (request.name, request.method, request.seed) == ("vote", METHODS["vote"], SEED)
