"""A manifest is read strictly: an error names the file and the key; what is no complete run is never taken for one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from models.engines.records import EngineChoice, EngineReport
from models.errors import UserError
from pipelines.evaluation.metrics import report
from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.feature_records import FeatureRecord
from pipelines.runs.folder import open_run
from pipelines.runs.layout import HEAD_FILE, MANIFEST_FILE, MODEL_FILE, is_run
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow
from pipelines.runs.manifest import (
    Agreement,
    BackboneRecord,
    BaseRecord,
    ChosenHead,
    DataRecord,
    HeadRecord,
    Manifest,
    RunRequest,
)
from pipelines.runs.read_manifest import backbone_file, model_files, read_manifest, write_manifest
from pipelines.runs.report import Comparison, FoldScore, ModelComparison, Score
from pipelines.runs.training_records import HeadTrial
from tests.pipelines.manifests import manifest_with, stage_with
from tests.specs import train_spec

# Class names and paths may hold any bytes, quotes and line breaks.
CLASSES = ("caf\udce9", "dog\n\u2603", 'o"wl')


def comparison(score: Score, value: float) -> Comparison:
    return Comparison(
        score=score,
        first="fine-tuned",
        second="frozen",
        part="test",
        images=4,
        means=(0.75, 0.5),
        value=value,
        interval=(-0.5, 0.5),
    )


COMPARISON = ModelComparison(accuracy=comparison("accuracy", 0.25), log_loss=comparison("log_loss", -0.1))
SCORES = report([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], [0, 1, 1], CLASSES)
ROW = MemberRow(
    name="caf\udce9",
    path="../caf\udce9",
    backbone="vgg16",
    head="linear",
    seed=None,
    fold=2,
    weight=1.0,
    images=3,
    accuracy=1.0,
    accuracy_interval=(0.4, 1.0),
    log_loss=0.0,
    ms=1.5,
    mb=80.0,
)
# Every field has another value than its default.
FULL = Manifest(
    class_names=CLASSES,
    image_size=32,
    backbone=BackboneRecord(
        name="vgg16",
        weights="imagenet",
        parameters=7,
        weights_sha256="ab",
        file="../base.keras",
        fine_tuned=("block5",),
    ),
    head=HeadRecord(name="mlp", pooling="max", hidden=8, batch_norm=True, dropout=0.5, about="two layers"),
    spec=RunRequest(
        train=train_spec(data="caf\udce9", learning_rate=1e-300, image_size=32, fine_tune="2"),
        members=MembersSpec(common=train_spec(), backbones=("vgg16",), heads=("linear", "mlp"), seeds=3),
        ensemble=EnsembleSpec(runs=("a", "b\udcff"), out="ab", max_latency=0.5),
    ),
    data=DataRecord(
        root="/photos/caf\udce9",
        origin="csv",
        images={"train": {"caf\udce9": 3}, "test": {"caf\udce9": 0}},
        skipped=2,
        remarks=("moved",),
    ),
    metrics={"validation": SCORES, "test": SCORES},
    stages=(
        stage_with(
            heads=16,
            chosen=ChosenHead(l2=0.0, learning_rate=0.1, dropout=0.0, seed=1),
            temperature=1.5,
            trained=("block5",),
            kept=False,
            compared={"test": COMPARISON},
        ),
        stage_with(validation_loss=None, best_epoch=0),
    ),
    notes=("a note",),
    seconds={"train": 1.25},
    versions={"keras": "3"},
    features=FeatureRecord(images=3, views=2, cached=1, new=5, seconds=0.1, damaged_shards=1),
    engine=EngineChoice(
        engine="keras",
        precision="float32",
        report=EngineReport(
            images_per_second={"keras/float32": 5.0}, relative_difference={}, build_seconds={}, reasons=("few",)
        ),
        num_images=3,
        seconds_per_view=0.5,
    ),
    agreement=Agreement(images=1, top1_agreement=1.0, max_difference=0.001),
    bank=(
        HeadTrial(
            number=0,
            l2=0.1,
            learning_rate=0.1,
            dropout=0.0,
            seed=0,
            best_epoch=0,
            validation_loss=None,
            validation_accuracy=0.0,
        ),
    ),
    boost_weight=-0.5,
    members=(ROW,),
    leaderboard=Leaderboard(
        method="greedy",
        temperature=1.1,
        members=(ROW,),
        names=("caf\udce9",),
        disagreement=((0.0,),),
        gain=EnsembleGain(comparison=COMPARISON, ms=2.0, best_ms=1.0),
        folds={"accuracy": FoldScore(mean=0.5, deviation=0.1, interval=(-0.1, 1.1))},
        ms=2.0,
        mb=90.0,
    ),
    bases=(
        BaseRecord(
            backbone_layer="backbone_1",
            pooling_layer="pooling_1",
            backbone="vgg16",
            weights_sha256="ab",
            image_size=32,
            pooling="avg",
            engine="keras",
        ),
    ),
    order=("caf\udce9",),
    missing={"caf\udce9": "MemoryError: too much"},
    fit="pad",
)


def write_run(folder: Path, manifest: Manifest = FULL) -> Path:
    """A run with these records and empty files for its model."""
    folder.mkdir(parents=True)
    write_manifest(folder, manifest)
    for path in model_files(folder, manifest):
        path.touch()
    return folder


def plain(manifest: Manifest = FULL) -> dict[str, Any]:  # plain data of every shape
    """The manifest as `json.loads` gives it."""
    return dict(json.loads(json.dumps(asdict(manifest))))


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    run = write_run(tmp_path / "caf\udce9")
    assert read_manifest(run) == FULL
    (run / MANIFEST_FILE).read_bytes().decode("ascii")
    single = manifest_with(stages=(stage_with(),), notes=("a note",))
    assert read_manifest(write_run(tmp_path / "single", single)) == single


def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_manifest(tmp_path, manifest_with(boost_weight=math.nan))
    assert not is_run(tmp_path)


def test_a_model_is_one_file_or_a_shared_backbone_and_a_head(tmp_path: Path) -> None:
    single = manifest_with()
    assert model_files(tmp_path, single) == [tmp_path / MODEL_FILE]
    assert model_files(tmp_path, FULL) == [tmp_path / "../base.keras", tmp_path / HEAD_FILE]
    assert backbone_file(tmp_path, FULL) == tmp_path / "../base.keras"


def test_keys_of_other_versions_are_ignored(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / MANIFEST_FILE).write_text(json.dumps({**plain(), "colour": "red"}))
    assert read_manifest(run) == FULL


def test_a_name_that_is_missing_takes_its_default(tmp_path: Path) -> None:
    single = manifest_with()
    run = write_run(tmp_path / "run", single)
    (run / MANIFEST_FILE).write_text(json.dumps({key: value for key, value in plain(single).items() if key != "notes"}))
    assert read_manifest(run) == single


def _nothing(path: Path) -> None:
    pass


def _empty(path: Path) -> None:
    path.mkdir()


def _interrupted(path: Path) -> None:
    open_run(path, RunRequest(train=train_spec()), force=False)


def _no_model(path: Path) -> None:
    (write_run(path, manifest_with()) / MODEL_FILE).unlink()


def _no_head(path: Path) -> None:
    (write_run(path) / HEAD_FILE).unlink()


def _no_backbone(path: Path) -> None:
    write_run(path)
    (path / "../base.keras").unlink()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nothing, "does not exist"),
        (_empty, "is not a run: it has no `run.json`"),
        (_interrupted, "was interrupted"),
        (_no_model, "has no `model.keras`"),
        (_no_head, "has no `head.keras`"),
        (_no_backbone, "has no `../base.keras`"),
    ],
)
def test_a_folder_that_is_not_a_complete_run_is_named(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(UserError, match=words) as caught:
        read_manifest(tmp_path / "run")
    assert str(tmp_path / "run") in caught.value.message
    assert caught.value.hint


def refusal(content: str | bytes, tmp_path: Path) -> str:
    """Why a run.json with this content is refused, after the name of the file."""
    run = write_run(tmp_path / "run")
    (run / MANIFEST_FILE).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        read_manifest(run)
    assert caught.value.hint
    file, _, words = caught.value.message.partition(" ")
    assert file == f"`{run / MANIFEST_FILE}`"
    return words


def changed(place: tuple[str | int, ...], value: object) -> str:
    """The full manifest as JSON with another value at a place."""
    values = plain()
    node: Any = values
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is damaged: not JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"schema": 2,', "is damaged: not JSON: "),
        (b"\xff\xfe{}", "is damaged: not JSON: 'utf-8' codec can't decode byte 0xff"),
        ("[]", "is damaged: expected `object`, got `array`"),
        ("null", "is damaged: expected `object`, got `null`"),
        ('"schema"', "is damaged: expected `object`, got `str`"),
        ("{}", "is damaged: `schema`: missing"),
        ('{"schema": 2}', "is damaged: `class_names`: missing"),
        ('{"schema": 1}', "is damaged: `spec`: missing"),
        ('{"schema": "2"}', "is damaged: `schema`: expected `int`, got `str`"),
        ('{"schema": true}', "is damaged: `schema`: expected `int`, got `bool`"),
        ('{"schema": 2.5}', "is damaged: `schema`: expected `int`, got `float`"),
        ('{"schema": 0}', "is damaged: `schema`: expected `int` >= 1"),
        ('{"schema": 3}', "was written by a later headstart"),
        (changed(("schema",), 99), "was written by a later headstart"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_named(content: str | bytes, words: str, tmp_path: Path) -> None:
    assert refusal(content, tmp_path).startswith(words)


REPORT = ("metrics", "test")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        # Of another type.
        (("class_names",), "cat", "expected `array`, got `str`"),
        (("class_names", 1), 5, "expected `str`, got `int`"),
        (("notes",), "a note", "expected `array`, got `str`"),
        (("image_size",), "32", "expected `int`, got `str`"),
        (("image_size",), 32.5, "expected `int`, got `float`"),
        (("image_size",), True, "expected `int`, got `bool`"),
        (("backbone",), None, "expected `object`, got `null`"),
        (("backbone", "weights_sha256"), 5, "expected `str | null`, got `int`"),
        (("spec", "train", "data", "path"), None, "expected `str`, got `null`"),
        (("spec", "members", "backbones"), {}, "expected `array`, got `object`"),
        (("data", "images", "train"), [1, 2], "expected `object`, got `array`"),
        ((*REPORT, "accuracy"), "0.9", "expected `float`, got `str`"),
        ((*REPORT, "accuracy_interval"), [0.1], "expected `array` of length 2, got 1"),
        ((*REPORT, "confusion_matrix", 1, 0), 0.5, "expected `int`, got `float`"),
        (("stages", 0, "kept"), 1, "expected `bool | null`, got `int`"),
        (("stages", 0, "compared", "test", "accuracy", "value"), None, "expected `float`, got `null`"),
        (("leaderboard", "members", 0, "fold"), "2", "expected `int | null`, got `str`"),
        (("seconds", "train"), "1", "expected `float`, got `str`"),
        # Out of range.
        (("image_size",), 0, "expected `int` >= 1"),
        (("data", "skipped"), -1, "expected `int` >= 0"),
        (("data", "images", "test", "caf\udce9"), -1, "expected `int` >= 0"),
        (("data", "origin"), "zip", "invalid enum value 'zip'"),
        (("spec", "train", "fit", "epochs"), 0, "expected `int` >= 1"),
        (("spec", "train", "fine_tune", "ema"), 1.0, "expected `float` < 1.0"),
        (("spec", "train", "fit", "optimizer"), "adagrad", "invalid enum value 'adagrad'"),
        ((*REPORT, "accuracy"), 1.5, "expected `float` <= 1.0"),
        ((*REPORT, "log_loss"), -0.1, "expected `float` >= 0.0"),
        ((*REPORT, "images"), 0, "expected `int` >= 1"),
        ((*REPORT, "classes", 2, "support"), -3, "expected `int` >= 0"),
        ((*REPORT, "confusion_matrix", 0, 0), -1, "expected `int` >= 0"),
        (("stages", 1, "best_epoch"), -1, "expected `int` >= 0"),
        (("agreement", "top1_agreement"), 1.01, "expected `float` <= 1.0"),
        (("features", "new"), -2, "expected `int` >= 0"),
        (("bank", 0, "dropout"), 1.0, "expected `float` < 1.0"),
        (("leaderboard", "disagreement", 0, 0), 2.0, "expected `float` <= 1.0"),
        (("seconds", "train"), -1.0, "expected `float` >= 0.0"),
        # Not finite: JSON has no such numbers, but Python reads them.
        (("image_size",), math.nan, "expected a finite number"),
        ((*REPORT, "accuracy"), math.nan, "expected a finite number"),
        ((*REPORT, "log_loss_interval", 1), math.inf, "expected a finite number"),
        (("boost_weight",), -math.inf, "expected a finite number"),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    place: tuple[str | int, ...], value: object, words: str, tmp_path: Path
) -> None:
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)[1:]
    key = key.replace("\udce9", r"\xe9")
    assert refusal(changed(place, value), tmp_path).startswith(f"is damaged: `{key}`: {words}")


@pytest.mark.parametrize(
    "place",
    [
        ("class_names",),
        ("backbone", "name"),
        ("spec", "train", "out"),
        ("data", "images"),
        (*REPORT, "accuracy"),
        (*REPORT, "classes", 1, "recall"),
        ("stages", 1, "epochs"),
        ("stages", 0, "compared", "test", "log_loss"),
        ("leaderboard", "gain"),
        ("leaderboard", "folds", "accuracy", "mean"),
    ],
)
def test_a_key_that_is_missing_is_named(place: tuple[str | int, ...], tmp_path: Path) -> None:
    values = plain()
    node: Any = values
    for step in place[:-1]:
        node = node[step]
    del node[place[-1]]
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)[1:]
    assert refusal(json.dumps(values), tmp_path) == f"is damaged: `{key}`: missing"


def test_a_part_that_does_not_exist_is_named(tmp_path: Path) -> None:
    values = plain()
    values["metrics"]["trian"] = values["metrics"].pop("test")
    assert refusal(json.dumps(values), tmp_path) == "is damaged: `metrics`: invalid enum value 'trian'"
