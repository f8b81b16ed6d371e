"""Manifests that headstart 0.1.0 wrote before schema 2, one of each kind, become the records of today."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.feature_records import FeatureRecord
from pipelines.runs.manifest import Agreement, BackboneRecord, ChosenHead, HeadRecord, Manifest
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.report import Comparison
from pipelines.runs.spec import TrainSpec
from tests.specs import train_spec

OLD = Path(__file__).parent / "schema_1"
MANIFESTS = {path.stem: path for path in sorted((OLD / "manifests").glob("*.json"))}
RUNS = {str(path.parent.relative_to(OLD / "runs")): path for path in sorted((OLD / "runs").rglob("run.json"))}
MOBILENET = "d480ef029db59f1d198ab5bae1fb8cb1a4773c7b3ff486bc30ea8a7f3a592919"
TINY_A = "31ef24345aa6dcbd6683b546fb0a702fc8f21af3688e16c51e4e73f754e3066f"


def read_file(manifest: Path, tmp_path: Path) -> Manifest:
    """Read a manifest in a folder that has the files that it names, empty."""
    run = tmp_path / "ensemble" / "members" / "run"
    run.mkdir(parents=True)
    shutil.copyfile(manifest, run / "run.json")
    shared = json.loads(manifest.read_text())["backbone"].get("file")
    for name in ("model.keras",) if shared is None else ("head.keras", shared):
        (run / name).resolve().parent.mkdir(exist_ok=True)
        (run / name).touch()
    return read_manifest(run)


def read_kind(kind: str, tmp_path: Path) -> Manifest:
    return read_file(MANIFESTS[kind], tmp_path)


def training_of(manifest: Manifest) -> TrainSpec:
    """The options of a single model."""
    assert manifest.spec.members is None and manifest.spec.ensemble is None
    assert manifest.spec.train is not None
    return manifest.spec.train


def members_of(manifest: Manifest) -> MembersSpec:
    """The options of an ensemble that was trained at once."""
    assert manifest.spec.train is None and manifest.spec.ensemble is None
    assert manifest.spec.members is not None
    return manifest.spec.members


@pytest.mark.parametrize("path", [*MANIFESTS.values(), *RUNS.values()], ids=[*MANIFESTS, *RUNS])
def test_what_schema_1_shares_with_schema_2_is_read_as_it_was_written(path: Path, tmp_path: Path) -> None:
    manifest, written = read_file(path, tmp_path), json.loads(path.read_text())
    assert written["schema"] == 1
    assert manifest.schema == 2
    assert list(manifest.class_names) == written["class_names"] == ["cross", "disc", "stripes"]
    assert manifest.image_size == written["image_size"]
    assert list(manifest.notes) == written["notes"]
    assert (manifest.seconds, manifest.versions) == (written["seconds"], written["versions"])
    # Cells of a confusion matrix are of schema 2, and of more classes than these runs have.
    scores = {part: {**values, "confusion_cells": []} for part, values in written["metrics"].items()}
    assert {part: report.to_json() for part, report in manifest.metrics.items()} == scores
    assert [member.name for member in manifest.members] == [member["name"] for member in written["members"]]
    assert manifest.data.images == written["data"]["images"]
    assert manifest.data.root.startswith("/photos/")
    kinds = manifest.spec.train, manifest.spec.members, manifest.spec.ensemble
    assert sum(kind is not None for kind in kinds) == 1


def test_a_head_without_cached_features_had_a_sentence_in_place_of_them(tmp_path: Path) -> None:
    manifest = read_kind("head_no_cache", tmp_path)
    assert training_of(manifest) == train_spec(
        data="data",
        out="runs/head_no_cache",
        backbone="mobilenet_0.25",
        image_size=32,
        epochs=2,
        augment="light",
        cache=False,
    )
    assert (manifest.features, manifest.engine, manifest.agreement, manifest.bank) == (None, None, None, ())
    assert manifest.backbone == BackboneRecord(name="mobilenet_0.25", weights="imagenet", parameters=218544)
    assert manifest.data.remarks == ("1 images of small classes were moved so that each part has every class: `cross`",)
    (stage,) = manifest.stages
    assert (stage.name, stage.epochs, stage.best_epoch, stage.validation_loss) == ("head", 2, 2, 1.396)
    assert (stage.heads, stage.chosen, stage.kept, stage.compared) == (None, None, None, {})


def test_a_bank_of_heads_is_read_with_its_trials_and_its_choice(tmp_path: Path) -> None:
    manifest = read_kind("mlp", tmp_path)
    spec = training_of(manifest)
    assert (spec.head.name, spec.head.hidden, spec.head.heads) == ("mlp", 16, 4)
    assert manifest.head == HeadRecord(
        name="mlp",
        pooling="avg",
        hidden=16,
        batch_norm=True,
        dropout=0.5,
        about="one hidden layer, batch normalisation, dropout",
    )
    (stage,) = manifest.stages
    assert (stage.heads, stage.best_epoch, stage.validation_loss) == (4, 18, 1.06328)
    assert stage.chosen == ChosenHead(l2=0.03, learning_rate=0.001, dropout=0.5, seed=0)
    assert len(manifest.bank) == 4
    best = manifest.bank[0]
    assert (best.l2, best.best_epoch, best.validation_loss, best.validation_accuracy) == (0.03, 18, 1.06328, 0.33333)
    assert manifest.features == FeatureRecord(images=42, views=1, cached=42, new=0, seconds=0.0, damaged_shards=0)
    assert manifest.backbone.weights_sha256 == MOBILENET


def test_a_csv_file_and_an_unreadable_image_are_read(tmp_path: Path) -> None:
    manifest = read_kind("head_csv", tmp_path)
    assert (manifest.data.root, manifest.data.origin, manifest.data.skipped) == ("/photos/labels.csv", "csv", 1)
    assert manifest.data.images["train"] == {"cross": 12, "disc": 11, "stripes": 12}
    spec = training_of(manifest)
    assert (spec.data.path, spec.fine_tune.clip, spec.fine_tune.ema) == ("labels.csv", 2.0, 0.9)
    assert [note.partition(":")[0] for note in manifest.notes] == ["--clip", "--ema"]
    assert len(manifest.bank) == 16
    assert manifest.engine is not None
    assert (manifest.engine.engine, manifest.engine.precision, manifest.engine.num_images) == ("keras", "float32", 42)
    assert manifest.engine.report.images_per_second == {"keras/float32": 47405.7}
    assert manifest.engine.seconds_per_view == pytest.approx(0.04724, rel=1e-4)


def test_a_backbone_of_the_users_is_read_with_the_agreement_of_new_features(tmp_path: Path) -> None:
    manifest = read_kind("own_backbone", tmp_path)
    assert training_of(manifest).network.backbone == "runs/from_scratch"
    assert (manifest.backbone.name, manifest.backbone.weights) == ("runs/from_scratch", "runs/from_scratch/model.keras")
    assert manifest.backbone.file is None
    assert manifest.features == FeatureRecord(images=42, views=1, cached=0, new=42, seconds=2.2, damaged_shards=0)
    assert manifest.agreement == Agreement(images=3, top1_agreement=1.0, max_difference=0.0)


def test_a_fine_tuned_model_is_read_with_its_comparison_with_the_frozen_one(tmp_path: Path) -> None:
    manifest = read_kind("fine_tuned", tmp_path)
    assert training_of(manifest).fine_tune.blocks == "3"
    assert manifest.backbone.fine_tuned == ("conv_11", "conv_12", "conv_13")
    assert manifest.backbone.weights_sha256 is None
    head, stage = manifest.stages
    assert (head.name, head.heads, head.kept) == ("head", 8, None)
    assert (stage.name, stage.unfreeze, stage.epochs, stage.best_epoch) == ("fine-tune", "3", 20, 18)
    assert (stage.temperature, stage.trained, stage.kept) == (1.0, ("conv_11", "conv_12", "conv_13"), True)
    assert stage.compared.keys() == {"validation", "test"}
    assert stage.compared["test"].accuracy == Comparison(
        score="accuracy",
        first="fine-tuned",
        second="frozen",
        part="test",
        images=9,
        means=(0.8888888888888888, 0.6666666666666666),
        value=0.2222222222222222,
        interval=(-0.2222222222222222, 0.6666666666666666),
    )
    loss = stage.compared["validation"].log_loss
    assert loss.means == (0.3350881298255054, 0.8601782794156445)
    assert (loss.value, loss.interval) == (-0.5250901495901391, (-0.8717530513391223, -0.125879437679292))
    assert stage.compared["validation"].first_is_better


def test_a_frozen_model_that_was_kept_is_read_as_such(tmp_path: Path) -> None:
    manifest = read_kind("fine_tuned_frozen", tmp_path)
    stage = manifest.stages[-1]
    assert (stage.kept, stage.temperature) == (False, 19.9999)
    assert not stage.compared["validation"].first_is_better
    assert manifest.backbone.weights_sha256 == MOBILENET
    assert manifest.backbone.fine_tuned == ()
    assert (training_of(manifest).fine_tune.warm_up, training_of(manifest).fine_tune.clip) == (0.0, 0.0)


def test_a_training_from_scratch_is_read_with_each_of_its_stages(tmp_path: Path) -> None:
    manifest = read_kind("from_scratch", tmp_path)
    assert manifest.backbone == BackboneRecord(name="lenet5", weights="none", parameters=60000)
    assert [(stage.name, stage.unfreeze, stage.epochs) for stage in manifest.stages] == [("from scratch", "all", 9)]
    layerwise = read_kind("layerwise", tmp_path / "layerwise")
    assert training_of(layerwise).fine_tune.layerwise
    blocks = [f"layer-wise block{number}" for number in (1, 2, 3, 4)]
    assert [stage.name for stage in layerwise.stages] == [*blocks, "from scratch"]
    assert layerwise.stages[2].validation_loss == 1.08766


def test_members_that_were_trained_at_once_are_read_with_their_leaderboard(tmp_path: Path) -> None:
    manifest = read_file(RUNS["members"], tmp_path)
    spec = members_of(manifest)
    assert spec == MembersSpec(
        common=train_spec(data="divided", out="runs/members_small", backbone="backbones/tiny_a.keras"),
        backbones=("backbones/tiny_a.keras", "backbones/tiny_b.keras"),
        heads=("linear",),
    )
    assert manifest.head == HeadRecord(name="ensemble", pooling="of its members")
    assert manifest.order == ("tiny_a", "tiny_b")
    assert [(member.name, member.weight) for member in manifest.members] == [
        ("tiny_b", 0.8081988751613498),
        ("tiny_a", 0.1918011248386502),
    ]
    assert [(base.backbone_layer, base.pooling_layer, base.image_size) for base in manifest.bases] == [
        ("backbone_1", "pooling_1", 24),
        ("backbone_2", "pooling_2", 24),
    ]
    assert manifest.bases[0].weights_sha256 == TINY_A
    assert manifest.agreement == Agreement(images=9, top1_agreement=1.0, max_difference=7e-05)
    board = manifest.leaderboard
    assert board is not None
    assert (board.method, board.temperature, board.names, board.folds) == ("greedy", None, ("tiny_a", "tiny_b"), {})
    assert board.members == manifest.members
    assert board.disagreement == ((0.0, 0.3333333333333333), (0.3333333333333333, 0.0))
    assert board.gain is not None
    assert (board.gain.ms, board.gain.best_ms) == (0.10565624999969714, 0.0760692499994775)
    assert (board.gain.best, board.gain.recommended) == ("tiny_b", "tiny_b")
    assert board.gain.comparison.accuracy == Comparison(
        score="accuracy",
        first="ensemble",
        second="tiny_b",
        part="test",
        images=9,
        means=(0.5555555555555556, 0.5555555555555556),
        value=0.0,
        interval=(0.0, 0.0),
    )
    # Schema 1 kept no interval of the log-loss: it is not clear which is better.
    loss = board.gain.comparison.log_loss
    assert loss.means == (0.8995579479500133, 0.9028757513703316)
    assert loss.value == pytest.approx(-0.0033178, abs=1e-7)
    assert loss.interval == (-math.inf, math.inf)
    assert not loss.is_clear


def test_a_member_is_read_with_the_file_of_its_backbone(tmp_path: Path) -> None:
    manifest = read_file(RUNS["members/members/tiny_a"], tmp_path)
    assert manifest.backbone.file == "../../backbones/tiny_a.keras"
    assert manifest.backbone.weights_sha256 == TINY_A
    assert training_of(manifest).network.backbone == "backbones/tiny_a.keras"
    assert manifest.stages[0].chosen == ChosenHead(l2=0.0001, learning_rate=0.003, dropout=0.0, seed=0)
    assert (manifest.boost_weight, manifest.bank) == (None, ())


def test_an_ensemble_that_lost_a_member_is_read_with_the_reason(tmp_path: Path) -> None:
    manifest = read_kind("members_one_failed", tmp_path)
    assert members_of(manifest).backbones == ("mobilenet_0.25", "backbones/tiny_a.keras")
    assert [member.name for member in manifest.members] == ["tiny_a"]
    assert manifest.notes[1].startswith("mobilenet_0.25 failed: ")


def test_folds_are_read_with_their_scores(tmp_path: Path) -> None:
    manifest = read_kind("folds", tmp_path)
    assert members_of(manifest).folds == 2
    assert [(member.name, member.fold) for member in manifest.members] == [("tiny_a-f0", 0), ("tiny_a-f1", 1)]
    assert manifest.leaderboard is not None
    accuracy = manifest.leaderboard.folds["accuracy"]
    assert (accuracy.mean, accuracy.deviation) == (0.39473684210526316, 0.11164843913471803)
    assert accuracy.interval[0] < 0  # of two folds, by Student's t
    assert manifest.metrics["validation"].images == 38
    member = read_kind("folds_member", tmp_path / "member")
    assert training_of(member).out == "/photos/runs/folds/members/tiny_a-f1"


def test_folds_without_a_test_part_had_nothing_to_compare_the_model_with(tmp_path: Path) -> None:
    manifest = read_kind("folds_no_test", tmp_path)
    assert manifest.agreement is None
    assert manifest.metrics.keys() == {"validation"}
    assert manifest.leaderboard is not None
    assert manifest.leaderboard.gain is not None
    assert manifest.leaderboard.gain.comparison.part == "validation"


def test_boosting_is_read_with_the_weight_of_each_member(tmp_path: Path) -> None:
    manifest = read_kind("boost", tmp_path)
    spec = members_of(manifest)
    assert (spec.boost, spec.seeds, spec.method) == (True, 3, "vote")
    assert manifest.order == ("mobilenet_0.25-r0", "mobilenet_0.25-r1", "mobilenet_0.25-r2")
    member = read_kind("boost_member", tmp_path / "member")
    assert member.boost_weight == 1.420218483683497
    assert training_of(member).fit.seed == 2


def test_joined_runs_are_read_with_what_was_asked_for(tmp_path: Path) -> None:
    spec = EnsembleSpec(
        runs=("runs/head_divided", "runs/fine_tuned", "runs/head_small_b"), out="runs/joined_stack", method="stack"
    )
    stack = read_kind("joined_stack", tmp_path / "stack")
    assert stack.spec.ensemble == spec
    assert (stack.bases, stack.leaderboard is not None and stack.leaderboard.method) == ((), "stack")
    assert stack.backbone.name == "mobilenet_0.25 + backbones/tiny_b.keras"
    budget = read_kind("joined_budget", tmp_path / "budget")
    assert budget.spec.ensemble == replace(spec, out="runs/joined_budget", method="weighted", max_size=0.2)
    assert [(member.name, member.weight) for member in budget.members if member.weight] == [("head_small_b", 1.0)]
    nested = read_kind("joined_nested", tmp_path / "nested")
    assert nested.members[0].seed is None
    assert (nested.members[0].name, nested.members[0].head) == ("members", "ensemble")
    greedy = read_file(RUNS["joined"], tmp_path / "greedy")
    assert greedy.spec.ensemble is not None
    assert greedy.spec.ensemble.runs == ("runs/head_small_divided", "runs/head_small_b")
    assert greedy.members[0].path == "../head_small_b"
    assert len(greedy.bases) == 2


def changed(values: Any, place: tuple[str | int, ...], value: object) -> Any:  # plain data
    """A copy of plain data with another value at a place; the key is removed where the value is `...`."""
    if not place:
        return value
    copy = values.copy()
    if len(place) == 1 and value is ...:
        del copy[place[0]]
    else:
        copy[place[0]] = changed(values[place[0]], place[1:], value)
    return copy


@pytest.mark.parametrize(
    ("kind", "place", "value", "words"),
    [
        ("mlp", ("spec",), ..., "`spec`: missing"),
        ("mlp", ("spec", "out"), ..., "`spec.train.out`: missing"),
        ("mlp", ("spec", "data"), ..., "`spec.train.data.path`: missing"),
        ("mlp", ("spec", "epochs"), "9", "`spec.train.fit.epochs`: expected `int | null`, got `str`"),
        ("mlp", ("stages", 0, "best_epoch"), ..., "`stages[0].best_epoch`: missing"),
        ("mlp", ("extra",), [], "`extra`: expected `object`, got `array`"),
        ("mlp", ("extra", "features"), 5, "`features`: expected `object | null`, got `int`"),
        ("mlp", ("extra", "bank", 1, "l2"), -1.0, "`bank[1].l2`: expected `float` >= 0.0"),
        ("fine_tuned", ("stages", 1, "compared", "test", "after"), ..., "`stages[1].compared.test.after`: missing"),
        ("boost", ("spec", "common"), "all", "`spec.members.common`: expected `object`, got `str`"),
        ("boost", ("extra", "leaderboard", "verdict"), ..., "`extra.leaderboard.verdict`: missing"),
        ("boost_member", ("extra", "boost", "weight"), None, "`extra.boost.weight`: expected `float`, got `null`"),
        ("joined_stack", ("spec", "runs"), "runs/a", "`spec.ensemble.runs`: expected `array`, got `str`"),
    ],
)
def test_a_damaged_manifest_is_an_error_that_names_the_key(
    kind: str, place: tuple[str | int, ...], value: object, words: str, tmp_path: Path
) -> None:
    values = changed(json.loads(MANIFESTS[kind].read_text()), place, value)
    (tmp_path / "run.json").write_text(json.dumps(values))
    with pytest.raises(UserError) as caught:
        read_manifest(tmp_path)
    assert caught.value.message == f"`{tmp_path / 'run.json'}` is damaged: {words}"
