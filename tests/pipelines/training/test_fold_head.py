"""Heads in steps that folds choose: which images judge, which fit, and when the validation part chooses instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

from pipelines.evaluate import evaluate
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.runs.models import load_run
from pipelines.runs.score_basis import basis_of
from pipelines.runs.split_file import read_split
from pipelines.train import train
from pipelines.training import fold_head
from tests.pipelines.new_heads import spec_on
from tests.specs import with_options

Draw = Callable[..., Path]


def test_every_image_judges_and_fits(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data, run = image_folder("data", parts={"": 20}, seed=31), tmp_path / "run"
    manifest = train(with_options(spec_on(drawn, data, run), validation="auto", heads=2, head="mlp", epochs=None))
    record, predictions = manifest.cross_validation, read_predictions(run, "validation")
    assert record is not None
    assert predictions is not None
    known = [example for example in read_split(run, manifest.class_names) if example.split != "test"]
    assert record.fitted == record.held_out == len(known) == manifest.metrics["validation"].images
    assert sorted(predictions.sha256) == sorted(example.sha256.encode() for example in known)
    assert basis_of(manifest, "validation") == "out of fold"
    assert record.out_of_fold_loss == {"last": manifest.bank[0].validation_loss}
    assert manifest.stages[0].best_epoch == manifest.bank[0].best_epoch
    assert any("in 5 folds; fitted once more to all" in note for note in manifest.notes)
    # The scores are of predictions out of fold, as they are kept.
    probabilities = predictions.probabilities / predictions.probabilities.sum(1, keepdims=True, dtype=np.float64)
    loss = log_loss(predictions.labels, probabilities, labels=np.arange(3))
    assert manifest.metrics["validation"].log_loss == pytest.approx(loss, abs=1e-5)
    # The saved model, temperature included, is what test pictures were predicted by.
    exact = evaluate(str(run), manifest.data.root, cache=False)
    assert exact.report.log_loss == pytest.approx(manifest.metrics["test"].log_loss, abs=0.02)


def test_heads_that_do_not_fit_all_folds_are_chosen_on_the_validation_part(
    drawn: Path, image_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_folder("data", parts={"": 20}, seed=31)
    # Five folds and all images: two heads of each, and nearly a third one.
    weights = load_run(drawn / "one")[0].get_layer("head").input_shape[1] * 3
    monkeypatch.setattr(fold_head, "MAX_WEIGHTS", weights * 3 * 6 - 1)
    spec = with_options(spec_on(drawn, data, tmp_path / "two"), epochs=3, heads=4, validation="auto")
    manifest = train(spec)
    assert len(manifest.bank) == 2
    assert any(note.startswith("2 of 4 heads, the best on the validation part") for note in manifest.notes)
    assert manifest.cross_validation is not None


def test_the_validation_part_chooses_where_fine_tuning_follows_or_no_head_fits_all_folds(
    drawn: Path, image_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_folder("data", parts={"": 20}, seed=31)
    spec = with_options(spec_on(drawn, data, tmp_path / "tuned"), epochs=2, heads=2, validation="auto")
    manifests = [train(with_options(spec, fine_tune="1"))]
    monkeypatch.setattr(fold_head, "MOST_OPERATIONS", 1)
    manifests.append(train(with_options(spec, out=str(tmp_path / "large"))))
    for manifest in manifests:
        assert manifest.cross_validation is None
        assert basis_of(manifest, "validation") == "chose the model"
