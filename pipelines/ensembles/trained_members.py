"""Loads the members that one training made, with their predictions on images that none of them was trained on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError
from pipelines.data.folds import divide_folds, pooled
from pipelines.ensembles.member_predictions import EnsembleRequest, Images, LoadedMember, MemberPredictions
from pipelines.evaluation.saved_predictions import SavedPredictions, read_held_out, read_predictions
from pipelines.members.spec import MEMBERS_FOLDER, Member
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.models import load_run

if TYPE_CHECKING:
    import keras

    from models.arrays import Indices
    from pipelines.ensembles.methods import Method


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedMembers:
    """The members of a training, ready to be combined.

    Attributes:
        predictions: of each member, or of the members of all folds together.
        images: that the ensemble is fitted and evaluated on.
        request: how the members are combined.
        notes: for the manifest.
    """

    predictions: list[MemberPredictions]
    images: Images
    request: EnsembleRequest
    notes: tuple[str, ...]


def load_members(
    members: Sequence[Member], folder: Path, dataset: Dataset, spec: MembersSpec, method: Method
) -> LoadedMembers:
    """Load members; a group that lacks a fold has no out-of-fold predictions of all images, and is left out.

    Args:
        members: that are complete.
        folder: of the ensemble.
        dataset: that they were trained on.
        spec: of the ensemble.
        method: that it names.

    Raises:
        UserError: each group of folds has lost a member.
    """
    groups = {name: list(group) for name, group in itertools.groupby(members, key=lambda member: member.group)}
    incomplete = [name for name, group in groups.items() if spec.folds and len(group) < spec.folds]
    groups = {name: group for name, group in groups.items() if name not in incomplete}
    if not groups:
        raise UserError(
            "each group of folds has lost a member", "fix what made them fail, and train again with --force"
        )
    folds = _fold_of_each_image(dataset, spec) if spec.folds else None
    saved = {member.name: _read_held_out(folder / MEMBERS_FOLDER / member.name) for member in members}
    held_out = pooled(dataset) if spec.folds else _predicted_by_all(dataset, list(saved.values()))
    backbones: dict[Path, keras.Model] = {}
    predictions = []
    for name, group in groups.items():
        probabilities = np.zeros((len(held_out), len(dataset.class_names)), np.float32)
        models = []
        for member in group:
            path = folder / MEMBERS_FOLDER / member.name
            if folds is None:
                predicted = saved[member.name].of(held_out)
                assert predicted is not None, "the images are those that all have predictions of"
                probabilities[:] = predicted
            else:
                probabilities[folds == member.fold] = saved[member.name].probabilities
            models.append(_load_member(member, path, len(dataset.class_names), backbones))
        predictions.append(MemberPredictions(name=name, models=tuple(models), probabilities=probabilities, folds=folds))
    examples = tuple(
        replace(example, split="train") if spec.folds and example.split != "test" else example
        for example in dataset.examples
    )
    return LoadedMembers(
        predictions=predictions,
        images=Images(fitted=held_out, test=dataset.part("test"), all=examples, class_names=dataset.class_names),
        request=EnsembleRequest(
            method=method,
            name=spec.method,
            seed=spec.common.fit.seed,
        ),
        notes=tuple(f"{name} is left out: one of its folds failed" for name in incomplete),
    )


def _read_held_out(folder: Path) -> SavedPredictions:
    held_out = read_held_out(folder)
    assert held_out is not None, "a member writes its predictions before its manifest"
    return held_out


def _predicted_by_all(dataset: Dataset, saved: Sequence[SavedPredictions]) -> tuple[Example, ...]:
    """The images that every member has a prediction of, from a model that was not trained on them.

    Cross-validation predicts training images too, out of fold; members that it did not choose predict the validation
    part alone, which may hold copies of training images.
    """
    predicted = [{sha256.decode() for sha256 in predictions.sha256} for predictions in saved]
    common = set.intersection(*predicted)
    validation = {example.sha256 for example in dataset.part("validation")}
    is_validation_only = any(hashes <= validation for hashes in predicted)
    examples = dataset.part("validation") if is_validation_only else pooled(dataset)
    return tuple(example for example in examples if example.sha256 in common)


def _fold_of_each_image(dataset: Dataset, spec: MembersSpec) -> Indices:
    """(images,) number of the fold that holds each pooled image out."""
    num_images = len(pooled(dataset))
    folds = np.zeros(num_images, np.intp)
    for number, fold in enumerate(divide_folds(dataset, spec.folds, seed=spec.common.fit.seed)):
        folds[[example.split == "validation" for example in fold.examples[:num_images]]] = number
    return folds


def _load_member(member: Member, path: Path, num_classes: int, backbones: dict[Path, keras.Model]) -> LoadedMember:
    model, manifest = load_run(path, backbones)
    test = read_predictions(path, "test")
    return LoadedMember(
        name=member.name,
        folder=path,
        manifest=manifest,
        model=model,
        columns=tuple(range(num_classes)),
        fold=member.fold,
        test=np.zeros((0, num_classes), np.float32) if test is None else test.probabilities,
    )
