"""Training an ensemble: its members share backbones, one may fail, folds predict every image, a training resumes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.arrays import Labels, Probabilities
from models.errors import UserError
from pipelines.data.check import check
from pipelines.data.scan import scan
from pipelines.ensemble import ensemble
from pipelines.ensembles import join
from pipelines.evaluate import evaluate
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.fitting.bank_epochs import HeadSearch
from pipelines.fitting.heads import FittedHeads, fit_heads
from pipelines.members import member_training, processes
from pipelines.runs.ensemble_spec import EnsembleSpec
from pipelines.runs.layout import MODEL_FILE, STATE_FOLDER, is_run
from pipelines.runs.models import load_run
from pipelines.runs.ownership import foreign_files
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.spec import ConvSpec, NetworkSpec
from pipelines.runs.split_file import read_split
from pipelines.train_members import train_members
from pipelines.training import head_stage
from pipelines.training.backbone import find_backbone
from pipelines.training.plan import TrainingPlan
from tests.pipelines.conftest import CLASSES
from tests.pipelines.members.small_ensemble import all_correct, members_spec, run_here
from tests.pipelines.reporters import Notes


@pytest.fixture(scope="module")
def trained(drawn: Path) -> Path:
    """Two backbones, two heads: four members, trained in worker processes and combined."""
    spec = members_spec(drawn, drawn / "ensemble", "one", "two", heads=("linear", "mlp"), method="mean")
    train_members(spec)
    return drawn / "ensemble"


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members are trained in this process: no other TensorFlow has to be loaded."""
    monkeypatch.setattr(processes, "run_in_worker", run_here)


def predictions_of(run: Path) -> dict[str, Probabilities]:
    """The saved probabilities (classes,) of each validation image, by its hash."""
    saved = read_predictions(run, "validation")
    assert saved is not None
    return {sha256.decode(): row for sha256, row in zip(saved.sha256, saved.probabilities, strict=True)}


def test_each_member_is_a_run_and_each_backbone_is_written_once(trained: Path) -> None:
    names = {path.name for path in (trained / "members").iterdir()}
    assert names == {"one-linear", "one-mlp", "two-linear", "two-mlp"}
    assert {path.name for path in (trained / "backbones").iterdir()} == {"one.keras", "two.keras"}
    assert not list((trained / "members").rglob(MODEL_FILE))
    assert foreign_files(trained) == []  # `--force` can replace it
    for name in names:
        evaluation = evaluate(str(trained / "members" / name), str(trained.parent / "data"))
        scores = read_manifest(trained / "members" / name).metrics["test"]
        assert evaluation.report == scores
        exact = evaluate(str(trained / "members" / name), str(trained.parent / "data"), cache=False)
        assert exact.report.log_loss == pytest.approx(scores.log_loss, abs=0.02)


def test_the_joined_model_runs_each_backbone_once(trained: Path) -> None:
    model, manifest = load_run(trained)
    backbones = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert [backbone.name for backbone in backbones] == ["backbone_1", "backbone_2"]
    assert [member.weight for member in manifest.members] == [pytest.approx(1 / 4)] * 4
    assert manifest.agreement is not None
    assert manifest.agreement.max_difference < 0.02
    board = manifest.leaderboard
    assert board is not None and board.gain is not None
    assert len(board.disagreement) == 4
    assert board.gain.comparison.part == "test"
    assert (trained / "ensemble.png").stat().st_size > 10_000


def test_an_ensemble_is_evaluated_on_the_features_of_its_backbones(trained: Path) -> None:
    evaluation = evaluate(str(trained), str(trained.parent / "data"))
    assert evaluation.how.startswith("cached features")
    assert evaluation.report.log_loss == pytest.approx(read_manifest(trained).metrics["test"].log_loss, abs=1e-3)
    exact = evaluate(str(trained), str(trained.parent / "data"), cache=False)
    assert exact.how == "the saved model, float32"
    assert exact.report.log_loss == pytest.approx(evaluation.report.log_loss, abs=0.02)


def test_members_can_be_combined_again_and_serve_as_backbones(trained: Path, tmp_path: Path) -> None:
    members = tuple(str(trained / "members" / name) for name in ("one-mlp", "two-linear"))
    manifest = ensemble(EnsembleSpec(runs=members, out=str(tmp_path / "pair"), method="mean"))
    assert [member.name for member in manifest.members] in (["one-mlp", "two-linear"], ["two-linear", "one-mlp"])
    model = find_backbone(NetworkSpec(backbone=members[0]), ConvSpec()).build(None)
    assert model.name == "backbone"


def test_a_member_without_its_backbone_is_an_error_that_names_the_file(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "members" / "one-linear", tmp_path / "alone")
    with pytest.raises(UserError, match=r"alone` has no `.*one\.keras`"):
        load_run(tmp_path / "alone")


def _interrupt(*values: object, **named: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("in_process")
def test_a_member_that_fails_is_named_and_the_others_are_not_trained_again(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.keras"
    bad.write_bytes(b"no model")
    spec = members_spec(drawn, tmp_path / "run", "one", bag=True)
    spec = replace(spec, backbones=(str(bad), *spec.backbones), seeds=2)
    notes = Notes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(join, "join", _interrupt)
        train_members(spec, reporter=notes)
    assert any("bad-s0 failed" in line for line in notes.lines)
    member = tmp_path / "run" / "members" / "one-s1" / "run.json"
    before = member.stat().st_mtime_ns

    notes = Notes()
    manifest = train_members(spec, reporter=notes)
    assert member.stat().st_mtime_ns == before
    assert "resuming the interrupted training: members that are complete stay as they are" in notes.lines
    assert {member.name for member in manifest.members} == {"one-s0", "one-s1"}
    assert [note.partition(":")[0] for note in manifest.notes] == ["bad-s0 failed", "bad-s1 failed"]
    assert list(manifest.missing) == ["bad-s0", "bad-s1"]
    # No second attempt makes a model of that file.
    assert not any("once more" in line for line in notes.lines)
    assert not (tmp_path / "run" / STATE_FOLDER).exists()


@pytest.mark.usefixtures("in_process")
def test_an_ensemble_without_a_member_is_complete_and_names_it(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(search: HeadSearch, **named: Any) -> FittedHeads:  # those of `fit_heads`
        if search.seed == 0:
            raise MemoryError("too much")
        return fit_heads(search, **named)

    monkeypatch.setattr(head_stage, "fit_heads", fails)
    manifest = train_members(members_spec(drawn, tmp_path / "run", "one", seeds=2, bag=True))
    assert read_manifest(tmp_path / "run") == manifest
    assert [member.name for member in manifest.members] == ["one-s1"]
    assert manifest.missing == {"one-s0": "MemoryError: too much"}
    assert manifest.notes == ("one-s0 failed: MemoryError: too much",)


@pytest.mark.usefixtures("in_process")
def test_a_boosting_that_ends_early_is_said_on_the_terminal_and_kept(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_training, "predict_head_held_out", all_correct)
    notes = Notes()
    manifest = train_members(members_spec(drawn, tmp_path / "run", "one", seeds=3, boost=True), reporter=notes)
    assert [member.name for member in manifest.members] == ["one-r0"]
    [line] = [note for note in manifest.notes if "boosting" in note]
    assert line.endswith("ends after 1 member: it predicts every training image correctly, out of fold")
    assert notes.lines.count(line) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_network_from_scratch_is_boosted_and_its_outputs_are_added(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_an_error(plan: TrainingPlan) -> Labels:
        """Trained for two epochs, all networks would predict alike."""
        labels = np.asarray([example.label for example in plan.dataset.part("train")], np.int32)
        labels[plan.spec.fit.seed] = (labels[plan.spec.fit.seed] + 1) % 3
        return labels

    monkeypatch.setattr(member_training, "predict_network_held_out", with_an_error)
    common: dict[str, object] = {"epochs": 2, "image_size": 16}
    spec = members_spec(drawn, tmp_path / "run", common=common, seeds=3, boost=True, method="mean")
    manifest = train_members(replace(spec, backbones=("lenet4",)))
    assert {member.name for member in manifest.members} == {"lenet4-r0", "lenet4-r1", "lenet4-r2"}
    assert [member.weight for member in manifest.members] == pytest.approx([1 / 3] * 3)
    members = [predictions_of(tmp_path / "run" / "members" / f"lenet4-r{number}") for number in range(3)]
    for sha256, probabilities in predictions_of(tmp_path / "run").items():
        if manifest.leaderboard is not None and manifest.leaderboard.temperature is None:
            np.testing.assert_allclose(probabilities, np.mean([of[sha256] for of in members], axis=0), atol=1e-3)
    assert not list((tmp_path / "run").rglob("held-out*"))


@pytest.mark.usefixtures("in_process")
def test_an_ensemble_is_whole_until_its_replacement_is(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    old = train_members(members_spec(drawn, run, "one"))
    spec = members_spec(drawn, run, "one", seeds=2, bag=True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(join, "join", _interrupt)
        train_members(spec, force=True)
    assert read_manifest(run) == old
    notes = Notes()
    new = train_members(spec, force=True, reporter=notes)
    assert "resuming the interrupted training: members that are complete stay as they are" in notes.lines
    assert read_manifest(run) == new
    assert sorted(path.name for path in (run / "members").iterdir()) == ["one-s0", "one-s1"]
    member = read_manifest(run / "members" / "one-s1")
    assert member.spec.train is not None
    assert member.spec.train.out == str(run / "members" / "one-s1")
    assert [path.name for path in tmp_path.iterdir() if "headstart" in path.name] == []


def test_copies_are_refused_before_the_data_are_looked_at(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    spec = members_spec(drawn, tmp_path / "run", "one", seeds=3, common={"data": str(tmp_path / "empty")})
    with pytest.raises(UserError, match=r"--seeds 3 would train copies"):
        train_members(spec)
    assert not (tmp_path / "run").exists()


def test_blocks_that_one_of_the_runs_lacks_are_refused_before_the_images_are_opened(
    drawn: Path, tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    common: dict[str, object] = {"fine_tune": "nosuch", "data": str(tmp_path / "none")}
    spec = members_spec(drawn, tmp_path / "run", "one", "two", common=common)
    with pytest.raises(UserError, match="no block `nosuch`"):
        train_members(spec)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("in_process")
def test_of_two_heads_only_the_one_that_a_seed_changes_has_several_members(drawn: Path, tmp_path: Path) -> None:
    notes = Notes()
    spec = members_spec(drawn, tmp_path / "run", "one", heads=("linear", "mlp"), seeds=2, method="mean")
    manifest = train_members(spec, reporter=notes)
    assert {member.name for member in manifest.members} == {"one-linear-s0", "one-mlp-s0", "one-mlp-s1"}
    (line,) = manifest.notes
    assert line.endswith("linear head: 1 seed instead of 2 seeds, which would be copies of it")
    assert notes.lines.count(line) == 1
    assert manifest.leaderboard is not None
    places = [manifest.leaderboard.names.index(f"one-mlp-s{seed}") for seed in (0, 1)]
    saved = [predictions_of(tmp_path / "run" / "members" / manifest.leaderboard.names[place]) for place in places]
    assert any(np.abs(saved[0][sha256] - saved[1][sha256]).max() > 1e-3 for sha256 in saved[0])


@pytest.mark.usefixtures("in_process")
def test_nothing_is_combined_when_no_member_could_be_trained(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.keras").write_bytes(b"no model")
    spec = replace(members_spec(drawn, tmp_path / "run", bag=True), backbones=(str(tmp_path / "bad.keras"),), seeds=2)
    with pytest.raises(UserError, match="no member could be trained"):
        train_members(spec)
    assert not is_run(tmp_path / "run")


@pytest.mark.usefixtures("in_process")
def test_with_folds_every_image_is_predicted_by_a_model_that_did_not_see_it(drawn: Path, tmp_path: Path) -> None:
    manifest = train_members(members_spec(drawn, tmp_path / "run", "one", folds=3))
    dataset = check(scan(str(drawn / "data")))
    pooled = {example.sha256 for example in dataset.examples if example.split != "test"}
    of_ensemble = predictions_of(tmp_path / "run")
    assert of_ensemble.keys() == pooled
    assert manifest.metrics["validation"].images == len(pooled)
    assert manifest.leaderboard is not None
    held_out: set[str] = set()
    for number in range(3):
        path = tmp_path / "run" / "members" / f"one-f{number}"
        splits = {example.sha256: example.split for example in read_split(path, CLASSES)}
        of_member = predictions_of(path)
        assert {splits[sha256] for sha256 in of_member} == {"validation"}
        assert not of_member.keys() & held_out
        held_out |= of_member.keys()
        # The ensemble predicts an image out of fold as the model of its fold does.
        if manifest.leaderboard.temperature is None:
            for sha256, probabilities in of_member.items():
                np.testing.assert_allclose(of_ensemble[sha256], probabilities, atol=1e-5)
    assert held_out == pooled
    assert sum(member.weight for member in manifest.members) == pytest.approx(1)
    accuracy = manifest.leaderboard.folds["accuracy"]
    assert accuracy.interval[0] <= accuracy.mean <= accuracy.interval[1]
    splits = {example.sha256: example.split for example in read_split(tmp_path / "run", CLASSES)}
    assert {splits[sha256] for sha256 in pooled} == {"train"}


@pytest.mark.usefixtures("in_process")
def test_members_on_levels_share_them_and_join_members_on_the_last_layer(drawn: Path, tmp_path: Path) -> None:
    data = str(drawn / "data")
    for features in ("levels", "last"):
        spec = members_spec(
            drawn, tmp_path / features, "one", heads=("linear", "mlp"), method="mean", common={"features": features}
        )
        train_members(spec)
    (base,) = read_manifest(tmp_path / "levels").bases
    assert base.features == "levels"
    members = tuple(str(tmp_path / features / "members" / "one-linear") for features in ("levels", "last"))
    ensemble(EnsembleSpec(runs=members, out=str(tmp_path / "both"), method="mean"))
    assert {base.features for base in read_manifest(tmp_path / "both").bases} == {"levels", "last"}
    for run in (*members, str(tmp_path / "levels"), str(tmp_path / "both")):
        cached, exact = evaluate(run, data), evaluate(run, data, cache=False)
        assert cached.how.startswith("cached features")
        assert exact.report.log_loss == pytest.approx(cached.report.log_loss, abs=0.01)


@pytest.mark.usefixtures("in_process")
def test_members_that_folds_chose_are_combined_by_their_out_of_fold_predictions(drawn: Path, tmp_path: Path) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one", "two", common={"epochs": None})
    manifest = train_members(spec)
    images = manifest.data.images
    num_known = sum(images["train"].values()) + sum(images["validation"].values())
    assert manifest.metrics["validation"].images == num_known
    for row in manifest.members:
        member = read_manifest(tmp_path / "run" / "members" / row.name)
        assert member.cross_validation is not None
        assert member.metrics["validation"].images == num_known
    # Combined again from outside, by the same images.
    runs = tuple(str(tmp_path / "run" / "members" / row.name) for row in manifest.members)
    again = ensemble(EnsembleSpec(runs=runs, out=str(tmp_path / "again")))
    assert again.metrics["validation"].images == num_known
    # What the joined model says of the test images is what its members said.
    exact = evaluate(str(tmp_path / "run"), str(drawn / "data"), cache=False)
    assert exact.report.log_loss == pytest.approx(manifest.metrics["test"].log_loss, abs=0.02)


@pytest.mark.usefixtures("in_process")
def test_beside_a_member_that_held_the_validation_part_out_that_part_alone_decides(drawn: Path, tmp_path: Path) -> None:
    spec = members_spec(drawn, tmp_path / "run", "one", common={"epochs": None, "heads": 1}, heads=("mlp", "linear"))
    manifest = train_members(spec)
    assert manifest.metrics["validation"].images == sum(manifest.data.images["validation"].values())
    kinds = [read_manifest(tmp_path / "run" / "members" / row.name).cross_validation for row in manifest.members]
    assert sorted(kind is None for kind in kinds) == [False, True]
    (linear,) = (kind for kind in kinds if kind is not None)
    assert set(linear.out_of_fold_loss) == {"last", "levels"}
