"""What gets one weight predicts with the mean of its models; given weights belong to the method `vote` alone."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.ensembles.member_predictions import EnsembleRequest, LoadedMember, MemberPredictions, labels_of
from pipelines.ensembles.methods import METHODS
from pipelines.ensembles.selection import Budget
from pipelines.runs.examples import Example
from tests.pipelines.manifests import manifest_with


def model_of_fold(fold: int, test: list[list[float]]) -> LoadedMember:
    """A model that predicts `test` on the test images."""
    return LoadedMember(
        name=f"net-{fold}",
        folder=Path("nowhere"),
        manifest=manifest_with(),
        model=keras.Sequential(),
        columns=(0, 1),
        fold=fold,
        test=np.asarray(test, np.float64).reshape(-1, 2),
    )


def member_of(*tests: list[list[float]]) -> MemberPredictions:
    """The models of as many folds."""
    models = tuple(model_of_fold(fold, test) for fold, test in enumerate(tests))
    return MemberPredictions(name="net", models=models, probabilities=np.zeros((0, 2)))


def test_the_models_of_all_folds_predict_test_images_by_their_mean() -> None:
    member = member_of([[1.0, 0.0], [0.5, 0.5]], [[0.4, 0.6], [0.25, 0.75]], [[0.1, 0.9], [0.0, 1.0]])
    assert member.test.ravel().tolist() == pytest.approx([0.5, 0.5, 0.25, 0.75])


def test_a_single_model_predicts_test_images_by_itself() -> None:
    assert member_of([[0.9, 0.1], [0.3, 0.7]]).test.tolist() == [[0.9, 0.1], [0.3, 0.7]]


def test_without_test_images_there_are_no_rows() -> None:
    assert member_of([], []).test.shape == (0, 2)


def test_a_request_has_no_budget_unless_asked() -> None:
    request = EnsembleRequest(method=METHODS["mean"], name="mean")
    assert request.budget == Budget(latency_ms=None, size_mb=None)


def test_labels_stand_in_the_order_of_the_images() -> None:
    examples = tuple(
        Example(path=str(place), label=label, split="test", sha256="", source="")
        for place, label in enumerate([2, 0, 1])
    )
    labels = labels_of(examples)
    assert labels.tolist() == [2, 0, 1]
    assert labels.dtype == np.int32
    assert labels_of(()).shape == (0,)
