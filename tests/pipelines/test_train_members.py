"""Training the members of an ensemble: folds, bags, boosting, sharing, failures, going on after an interruption."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from models.errors import UserError
from pipelines.data.check import check
from pipelines.data.dataset_file import write_dataset
from pipelines.data.scan import scan
from pipelines.ensemble import ensemble
from pipelines.ensembles import join
from pipelines.evaluate import evaluate
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.fitting.heads import fit_heads
from pipelines.members import member_training
from pipelines.members.boosting import boost
from pipelines.members.spec import MembersOrder, file_names, list_members
from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.folder import read_split
from pipelines.runs.manifest import MODEL_FILE, STATE_FOLDER
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import is_run, read_manifest
from pipelines.system.records import as_record
from pipelines.system.relay import ProgressRelay
from pipelines.train import train
from pipelines.train_members import train_members
from pipelines.training.backbone import find_backbone
from tests.pipelines.test_train import Words
from tests.specs import train_spec, with_options

Draw = Callable[..., Path]
CLASSES = ("circle", "square", "triangle")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures, and two networks trained on them a little, for heads to stand on."""
    from tests.conftest import draw

    folder = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(3)
    for index, name in enumerate(CLASSES):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(40):
            draw(index, 24, rng).save(folder / "data" / name / f"{number:02d}.png")
    for name, seed in (("one", 1), ("two", 2)):
        spec = train_spec(data=str(folder / "data"), out=str(folder / name), backbone="small_cnn", weights="none")
        train(with_options(spec, epochs=2, seed=seed))
    return folder


def spec_for(drawn: Path, out: Path, *backbones: str, **values: Any) -> MembersSpec:
    paths = tuple(str(drawn / name) for name in backbones)
    common = train_spec(data=str(drawn / "data"), out=str(out), epochs=6, heads=2, hidden=None)
    return MembersSpec(common=common, backbones=paths, heads=values.pop("heads", ("linear",)), **values)


@pytest.fixture(scope="module")
def trained(drawn: Path) -> Path:
    """Two backbones, two heads: four members, joined."""
    spec = spec_for(drawn, drawn / "ensemble", "one", "two", heads=("linear", "mlp"), method="mean")
    train_members(spec)
    return drawn / "ensemble"


def test_each_member_is_a_run_and_backbones_are_there_once(trained: Path) -> None:
    names = {path.name for path in (trained / "members").iterdir()}
    assert names == {"one-linear", "one-mlp", "two-linear", "two-mlp"}
    assert {path.name for path in (trained / "backbones").iterdir()} == {"one.keras", "two.keras"}
    assert not list((trained / "members").rglob(MODEL_FILE))
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
    assert board is not None
    assert len(board.disagreement) == 4
    assert board.gain.comparison.part == "test"
    assert (trained / "ensemble.png").stat().st_size > 10_000


def test_an_ensemble_is_evaluated_from_the_features_of_its_bases(trained: Path) -> None:
    evaluation = evaluate(str(trained), str(trained.parent / "data"))
    assert evaluation.how.startswith("cached features")
    assert evaluation.report.log_loss == pytest.approx(read_manifest(trained).metrics["test"].log_loss, abs=1e-3)
    exact = evaluate(str(trained), str(trained.parent / "data"), cache=False)
    assert exact.how == "the saved model, float32"
    assert exact.report.log_loss == pytest.approx(evaluation.report.log_loss, abs=0.02)


def test_members_can_be_joined_again_and_stand_under_a_new_head(trained: Path, tmp_path: Path) -> None:
    members = tuple(str(trained / "members" / name) for name in ("one-mlp", "two-linear"))
    manifest = ensemble(EnsembleSpec(runs=members, out=str(tmp_path / "pair"), method="mean"))
    assert [member.name for member in manifest.members] in (["one-mlp", "two-linear"], ["two-linear", "one-mlp"])
    model = find_backbone(members[0], "imagenet").build(None)
    assert model.name == "backbone"


def test_a_member_without_its_backbone_says_where_it_should_be(trained: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(trained / "members" / "one-linear", tmp_path / "alone")
    with pytest.raises(UserError, match=r"alone` has no `.*one\.keras`"):
        load_run(tmp_path / "alone")


def test_a_member_that_fails_is_told_and_the_others_go_on_where_they_were(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.keras"
    bad.write_bytes(b"no model")
    spec = spec_for(drawn, tmp_path / "run", "one")
    spec = replace(spec, backbones=(str(bad), *spec.backbones), seeds=2)
    monkeypatch.setattr(join, "join", _interrupt)
    words = Words()
    with pytest.raises(KeyboardInterrupt):
        train_members(spec, reporter=words)  # type: ignore[arg-type]
    assert any("bad-s0 failed" in line for line in words.lines)
    member = tmp_path / "run" / "members" / "one-s1" / "run.json"
    before = member.stat().st_mtime_ns
    monkeypatch.undo()

    words = Words()
    manifest = train_members(spec, reporter=words)  # type: ignore[arg-type]
    assert member.stat().st_mtime_ns == before
    assert "resuming the interrupted training: members that are complete stay as they are" in words.lines
    assert {member.name for member in manifest.members} == {"one-s0", "one-s1"}
    assert [note.partition(":")[0] for note in manifest.notes] == ["bad-s0 failed", "bad-s1 failed"]
    assert not (tmp_path / "run" / STATE_FOLDER).exists()


def _interrupt(*values: object, **named: object) -> None:
    raise KeyboardInterrupt


def test_nothing_is_joined_when_no_member_survives(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.keras").write_bytes(b"no model")
    spec = replace(spec_for(drawn, tmp_path / "run"), backbones=(str(tmp_path / "bad.keras"),), seeds=2)
    with pytest.raises(UserError, match="no member could be trained"):
        train_members(spec)
    assert not is_run(tmp_path / "run")


def test_folds_answer_for_every_image_out_of_fold(drawn: Path, tmp_path: Path) -> None:
    manifest = train_members(spec_for(drawn, tmp_path / "run", "one", folds=3))
    dataset = check(scan(str(drawn / "data")))
    inside = {example.sha256 for example in dataset.examples if example.split != "test"}
    kept = read_predictions(tmp_path / "run", "validation")
    assert kept is not None
    assert {content.decode() for content in kept.sha256} == inside
    assert manifest.metrics["validation"].images == len(inside)
    assert manifest.leaderboard is not None
    held_out: set[str] = set()
    for number in range(3):
        path = tmp_path / "run" / "members" / f"one-f{number}"
        mine = {example.sha256: example.split for example in read_split(path, CLASSES)}
        answered = read_predictions(path, "validation")
        assert answered is not None
        own = {content.decode() for content in answered.sha256}
        assert {mine[content] for content in own} == {"validation"}
        assert not own & held_out
        held_out |= own
        # What is said of the ensemble out of fold is what the model of that fold said.
        rows = {content.decode(): row for content, row in zip(kept.sha256, kept.probabilities, strict=True)}
        if manifest.leaderboard.temperature is None:
            for sha256, row in zip(answered.sha256, answered.probabilities, strict=True):
                np.testing.assert_allclose(rows[sha256.decode()], row, atol=1e-5)
    assert held_out == inside
    assert sum(member.weight for member in manifest.members) == pytest.approx(1)
    accuracy = manifest.leaderboard.folds["accuracy"]
    assert accuracy.interval[0] <= accuracy.mean <= accuracy.interval[1]
    parts = {example.sha256: example.split for example in read_split(tmp_path / "run", CLASSES)}
    assert {parts[content] for content in inside} == {"train"}


def workshop(spec: MembersSpec, drawn: Path, out: Path) -> tuple[member_training.MemberTraining, io.StringIO]:
    """Trains in this process: no other TensorFlow has to be loaded."""
    dataset = check(scan(str(drawn / "data")))
    (out / STATE_FOLDER).mkdir(parents=True)
    (out / "members").mkdir()
    said = io.StringIO()
    return member_training.MemberTraining(spec=spec, out=out, dataset=dataset, relay=ProgressRelay(said)), said


def test_boosting_looks_at_what_the_former_got_wrong(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    plain = fit_heads

    def watched(*values: Any, **named: Any) -> Any:
        seen.append(named["sample_weights"])
        return plain(*values, **named)

    monkeypatch.setattr(member_training, "fit_heads", watched)
    spec = spec_for(drawn, tmp_path / "run", "one", seeds=2, boost=True)
    shop, _ = workshop(spec, drawn, tmp_path / "run")
    # Every fifth label is wrong: what contradicts its neighbours cannot be learned.
    mixed = [
        replace(example, label=(example.label + (place % 5 == 0)) % 3)
        for place, example in enumerate(shop.dataset.examples)
    ]
    shop.dataset = replace(shop.dataset, examples=tuple(mixed))
    shop.train(list_members(spec))
    assert np.all(seen[0] == 1)
    first, _ = load_run(tmp_path / "run" / "members" / "one-r0")
    dataset = shop.dataset.part("train")
    from pipelines.evaluation.predictions import predict_batches
    from pipelines.images.batches import pixel_batches

    said, labels = predict_batches(first, pixel_batches(dataset, size=int(first.input_shape[1]), batch=32))
    wrong = said.argmax(1) != labels
    expected = boost(np.ones(len(dataset)), wrong, 3)
    assert 0 < wrong.sum() < len(dataset)
    assert np.mean(np.abs(seen[1] / len(dataset) - expected.image_weights) < 1e-4) > 0.95  # cached features are float16
    assert seen[1].mean() == pytest.approx(1, abs=1e-5)


def test_each_bag_is_a_bootstrap_sample_of_its_own(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    plain = fit_heads

    def watched(*values: Any, **named: Any) -> Any:
        seen.append(named["sample_weights"])
        return plain(*values, **named)

    monkeypatch.setattr(member_training, "fit_heads", watched)
    spec = spec_for(drawn, tmp_path / "run", "one", seeds=2, bag=True)
    shop, said = workshop(spec, drawn, tmp_path / "run")
    shop.train(list_members(spec))
    assert [weights.sum() for weights in seen] == [len(shop.dataset.part("train"))] * 2
    assert (seen[0] == 0).mean() == pytest.approx(np.exp(-1), abs=0.12)
    assert not np.array_equal(seen[0], seen[1])
    # Later members of a kind take the options that the first has found.
    chosen = [read_manifest(tmp_path / "run" / "members" / f"one-s{seed}").stages[0].chosen for seed in (0, 1)]
    assert chosen[0] is not None
    assert replace(chosen[0], seed=1) == chosen[1]
    done = [json.loads(line)["done"] for line in said.getvalue().splitlines() if '"done"' in line]
    assert done == ["one-s0", "one-s1"]


def test_one_bad_member_does_not_stop_the_next(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fit_heads

    def first_fails(search: Any, **named: Any) -> Any:
        if search.seed == 0:
            raise MemoryError("too much")
        return plain(search, **named)

    monkeypatch.setattr(member_training, "fit_heads", first_fails)
    spec = spec_for(drawn, tmp_path / "run", "one", seeds=2)
    shop, said = workshop(spec, drawn, tmp_path / "run")
    shop.train(list_members(spec))
    told = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [message["failed"] for message in told if "failed" in message] == ["one-s0"]
    assert is_run(tmp_path / "run" / "members" / "one-s1")


def test_an_order_survives_the_way_into_another_process(drawn: Path, tmp_path: Path) -> None:
    spec = spec_for(drawn, tmp_path / "run", "one")
    shop, said = workshop(spec, drawn, tmp_path / "run")
    write_dataset(tmp_path / "dataset", shop.dataset)
    order = MembersOrder(
        spec=spec, members=list_members(spec), out=str(tmp_path / "run"), dataset=str(tmp_path / "dataset")
    )
    received = as_record(json.loads(json.dumps(msgspec.to_builtins(order))), MembersOrder)
    assert received == order
    member_training.main(received, ProgressRelay(said))
    assert is_run(tmp_path / "run" / "members" / "one")


def test_names_tell_members_apart() -> None:
    common = train_spec(data="", out="", seed=5)
    spec = MembersSpec(common=common, backbones=("a/run", "b/run", "vgg16"), heads=("linear", "mlp"), seeds=2, folds=2)
    members = list_members(spec)
    assert len({member.name for member in members}) == len(members) == 24
    assert members[0].name == "run-linear-s5-f0"
    assert members[0].group == "run-linear-s5"
    assert file_names(("a/run", "b/run", "vgg16")) == {"a/run": "run", "b/run": "run_2", "vgg16": "vgg16"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backbones": ("vgg16", "vgg16")}, "given twice"),
        ({"folds": 1}, "at least 2"),
        ({"boost": True}, "--seeds"),
        ({"boost": True, "seeds": 3, "bag": True}, "--bag"),
        ({"bag": True, "common": train_spec(data="", out="", cache=False)}, "cached features"),
    ],
)
def test_options_that_do_not_go_together(values: dict[str, Any], words: str) -> None:
    spec = MembersSpec(common=train_spec(data="", out=""), backbones=("vgg16",), heads=("linear",))
    with pytest.raises(UserError) as caught:
        list_members(replace(spec, **values))
    assert words in caught.value.message + caught.value.hint
