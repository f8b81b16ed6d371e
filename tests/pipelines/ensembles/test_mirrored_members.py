"""Members whose features are averaged over mirror images join an ensemble like any others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.ensemble import ensemble
from pipelines.evaluate import evaluate
from pipelines.members import processes
from pipelines.runs.ensemble_spec import EnsembleSpec
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.train import train
from pipelines.train_members import train_members
from tests.pipelines.members.small_ensemble import members_spec, run_here
from tests.pipelines.new_heads import spec_on


def test_members_of_one_training_share_averaged_features(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "run_in_worker", run_here)
    spec = members_spec(drawn, tmp_path / "all", "one", heads=("linear", "mlp"), method="mean", common={"mirror": True})
    manifest = train_members(spec)
    assert [base.mirror for base in manifest.bases] == [True]
    assert manifest.agreement is not None
    assert manifest.agreement.max_difference < 0.01
    member = read_manifest(tmp_path / "all" / "members" / "one-linear")
    assert member.head.mirror
    cached, exact = (evaluate(str(tmp_path / "all"), str(drawn / "data"), cache=cache) for cache in (True, False))
    assert cached.how.startswith("cached features")
    assert cached.report.log_loss == pytest.approx(exact.report.log_loss, abs=0.01)


def test_folds_of_averaged_features_predict_each_others_images(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "run_in_worker", run_here)
    spec = members_spec(drawn, tmp_path / "folds", "one", folds=2, method="mean", common={"mirror": True})
    manifest = train_members(spec)
    assert [base.mirror for base in manifest.bases] == [True]
    counts = [sum(of_part.values()) for part, of_part in manifest.data.images.items() if part != "test"]
    assert manifest.metrics["validation"].images == sum(counts)


def test_runs_with_and_without_mirror_images_are_combined(drawn: Path, tmp_path: Path) -> None:
    for name, mirror in (("plain", False), ("mirrored", True)):
        train(spec_on(drawn, drawn / "data", tmp_path / name, mirror=mirror))
    runs = (str(tmp_path / "plain"), str(tmp_path / "mirrored"))
    manifest = ensemble(EnsembleSpec(runs=runs, out=str(tmp_path / "joined"), method="mean"))
    assert [base.mirror for base in manifest.bases] == [False, True]
    # The joined model gives what its members gave, each by its own passes.
    assert manifest.agreement is not None
    assert manifest.agreement.max_difference < 0.01
    cached, exact = (evaluate(str(tmp_path / "joined"), str(drawn / "data"), cache=cache) for cache in (True, False))
    assert cached.how.startswith("cached features")
    assert cached.report.log_loss == pytest.approx(exact.report.log_loss, abs=0.01)
    assert load_run(tmp_path / "joined")[0].output_shape == (None, 3)
