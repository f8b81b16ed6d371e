"""The fine-tuning stage: what trains, what stays, what is cached, and which model is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.classifier import build_classifier
from models.errors import UserError
from models.freezing import freeze
from models.heads import HEADS, build_head
from models.zoo import BACKBONES
from pipelines.evaluation.calibration import apply_temperature
from pipelines.evaluation.metrics import losses
from pipelines.evaluation.predictions import predict_batches
from pipelines.features.cached import weights_digest
from pipelines.fitting.checkpoint import StageProgress
from pipelines.images.policies import find_policy
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.manifest import BackboneRecord
from pipelines.system.progress import Silent
from pipelines.training import fine_tune as stage
from pipelines.training.backbone import BackboneSource
from pipelines.training.curves import EVENTS
from pipelines.training.pixel_stage import predict_parts
from pipelines.training.plan import TrainingNames, TrainingPlan, TrainingResult, switches_of
from tests.conftest import draw
from tests.specs import train_spec, with_options

CLASSES = ("circle", "square", "triangle")


class Words(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    warn = note


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., tuple[TrainingPlan, TrainingResult]]:
    """A function that gives a training after its head stage: a small network of random weights, frozen."""

    def make(
        head: str = "linear", name: str = "small_cnn", per_class: int = 10, **options: Any
    ) -> tuple[TrainingPlan, TrainingResult]:
        rng = np.random.default_rng(0)
        examples = []
        for part, count in (("train", per_class), ("validation", 4), ("test", 4)):
            for label, class_name in enumerate(CLASSES):
                for number in range(count):
                    path = tmp_path / f"{part}-{class_name}-{number}.png"
                    draw(label, 32, rng).save(path)
                    digest = weights_digest(path)
                    examples.append(
                        Example(path=str(path), label=label, split=part, sha256=digest, source=str(path))  # type: ignore[arg-type]
                    )
        dataset = Dataset(root="drawn", origin="folders", class_names=CLASSES, examples=tuple(examples))
        keras.utils.set_random_seed(1)
        backbone = build_backbone(BACKBONES[name], weights="none", image_size=32)
        top = build_head(HEADS[head], num_features=int(backbone.output_shape[-1]), num_classes=3, dropout=0.0)
        model = build_classifier(backbone, top)
        freeze(backbone)
        spec = train_spec(data="drawn", out=str(tmp_path / "run"), fine_tune="1", epochs=3, batch=8, engine="keras")
        spec = with_options(spec, **options)
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        (folder / "state").mkdir(parents=True)
        source = BackboneSource(name=name, backbone=BACKBONES[name], weights="imagenet")
        policy = find_policy(spec.data.augment, switches_of(spec.data))
        names = TrainingNames(head=HEADS[head], source=source, policy=policy)
        plan = TrainingPlan(spec=spec, names=names, dataset=dataset, folder=folder, reporter=Words())
        before = TrainingResult(
            model=model,
            predictions=predict_parts(plan, model, 32),
            history=[],
            stages=[],
            backbone=BackboneRecord(name=name, weights="imagenet", parameters=0, weights_sha256="ab" * 32),
        )
        return plan, before

    return make


def values(model: keras.Model) -> dict[str, Any]:
    return {weight.path: weight.value.numpy() for weight in model.weights}


def test_only_the_layers_above_the_boundary_learn_and_no_norm_moves(prepared: Any) -> None:
    plan, before = prepared(head="mlp", fine_tune="2", learning_rate=0.1)
    start = values(before.model)
    after = stage.fine_tune(plan, before)
    assert after.stages[-1].trained == ("block2", "block3")
    moved = {path for path, value in values(after.model).items() if not np.array_equal(value, start[path])}
    head = {f"head/{name}" for name in ("hidden/kernel", "probabilities/kernel", "probabilities/bias")}
    assert moved == head | {"block2_conv/kernel", "block3_conv/kernel"}


def test_train_bn_lets_norms_learn_in_the_trained_blocks_alone(prepared: Any) -> None:
    plan, before = prepared(fine_tune="1", train_bn=True, learning_rate=0.1)
    start = values(before.model)
    after = stage.fine_tune(plan, before)
    moved = {path for path, value in values(after.model).items() if not np.array_equal(value, start[path])}
    norm = {f"block3_conv_norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    assert moved == norm | {"block3_conv/kernel", "head/probabilities/kernel", "head/probabilities/bias"}


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
def test_moving_statistics_stay_to_the_bit_in_networks_that_are_full_of_them(prepared: Any, name: str) -> None:
    plan, before = prepared(name=name, fine_tune="1", learning_rate=0.01, epochs=1, per_class=3)
    start = values(before.model)
    after = stage.fine_tune(plan, before)
    norms = [
        weight.path
        for layer in after.model.get_layer("backbone").layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    ]
    assert len(norms) > 100
    for path in norms:
        np.testing.assert_array_equal(values(after.model)[path], start[path], err_msg=path)


def test_cached_activations_give_the_loss_curve_of_the_whole_network(prepared: Any) -> None:
    curves = []
    for cache in (True, False):
        plan, before = prepared(fine_tune="2", cache=cache, epochs=4, learning_rate=0.03)
        after = stage.fine_tune(plan, before)
        curves.append([(record.loss, record.validation_loss) for record in after.history])
        notes = " ".join(plan.reporter.lines)
        assert ("activations at `block1`" in notes) is cache
    assert len(curves[0]) == 4
    assert curves[0][0][1] != pytest.approx(curves[0][-1][1], rel=0.05), "a flat curve proves nothing"
    np.testing.assert_allclose(curves[0], curves[1], rtol=0.01, atol=1e-5)


def test_the_joined_model_answers_as_the_best_epoch_did(prepared: Any) -> None:
    plan, before = prepared(fine_tune="2", learning_rate=0.03, epochs=4)
    after = stage.fine_tune(plan, before)
    record = after.stages[-1]
    assert record.kept
    best = min(record.validation_loss for record in after.history)
    assert record.compared["validation"].log_loss.means[0] == pytest.approx(best, rel=2e-3, abs=1e-5)
    again = predict_parts(plan, after.model, 32)
    np.testing.assert_array_equal(again["test"][0], after.predictions["test"][0])
    assert after.backbone.weights_sha256 is None, "features cached for the published weights are not this network's"
    assert after.backbone.fine_tuned == ("block2", "block3")


def test_activations_are_computed_once_for_all_trainings(prepared: Any) -> None:
    for turn, words in enumerate(("0 cached, 42 new", "42 cached, 0 new")):
        plan, before = prepared(fine_tune="1", learning_rate=0.01 * (turn + 1), epochs=1)
        stage.fine_tune(plan, before)
        assert any(words in line for line in plan.reporter.lines), plan.reporter.lines


def test_views_are_cached_as_the_policy_wants_them(prepared: Any) -> None:
    plan, before = prepared(augment="light", views=3, epochs=1)
    stage.fine_tune(plan, before)
    assert any(f"{30 * 3 + 12} new" in line for line in plan.reporter.lines), plan.reporter.lines


def test_a_worse_model_is_not_kept_and_the_line_says_so_with_both_figures(prepared: Any) -> None:
    plan, before = prepared(fine_tune="2", learning_rate=300.0, epochs=2, clip=0.0, optimizer="sgd", warm_up=0.0)
    start, frozen = values(before.model), before.predictions
    after = stage.fine_tune(plan, before)
    assert not after.stages[-1].kept
    assert after.predictions is frozen
    for path, value in values(after.model).items():
        np.testing.assert_array_equal(value, start[path], err_msg=path)
    assert after.backbone.weights_sha256
    line = after.notes[-1]
    assert line.endswith("the frozen model is kept")
    assert "95% interval" in line
    assert not after.model.get_layer("backbone").trainable_weights


def test_what_does_not_fit_the_budget_is_streamed_and_that_is_said(
    prepared: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADSTART_BOUNDARY_LIMIT", "0.0001")
    plan, before = prepared(epochs=1)
    after = stage.fine_tune(plan, before)
    assert any("more than the 100.0 kB kept for them" in line for line in plan.reporter.lines), plan.reporter.lines
    assert not list((tmp_path / "cache" / "boundaries").rglob("*.npy"))
    assert len(after.history) == 1


def test_all_blocks_can_be_trained(prepared: Any) -> None:
    plan, before = prepared(fine_tune="all", epochs=1, learning_rate=0.1)
    start = values(before.model)
    after = stage.fine_tune(plan, before)
    moved = {path for path, value in values(after.model).items() if not np.array_equal(value, start[path])}
    assert {"block1_conv/kernel", "block2_conv/kernel", "block3_conv/kernel"} <= moved


def test_blocks_that_are_not_there_are_an_error_that_names_those_that_are(prepared: Any) -> None:
    plan, before = prepared(fine_tune="conv9")
    with pytest.raises(UserError) as caught:
        stage.fine_tune(plan, before)
    assert "block3" in caught.value.hint


def test_events_for_tensorboard_are_written_where_they_are_wanted(prepared: Any) -> None:
    for wanted in (True, False):
        plan, before = prepared(epochs=2, tensorboard=wanted)
        stage.fine_tune(plan, before)
        assert bool(list((plan.folder / EVENTS).rglob("events.*"))) is wanted


def test_an_interrupted_stage_goes_on_to_the_weights_it_would_have_had(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, before = prepared(fine_tune="2", epochs=4, learning_rate=0.01)
    straight = values(stage.fine_tune(plan, before).model)

    class Broken(Exception):
        pass

    plan, before = prepared(fine_tune="2", epochs=4, learning_rate=0.01)
    real = vars(stage)["boundary_batches"]

    def breaking(*arguments: Any, **options: Any) -> Any:
        if options.get("order") is not None and (plan.folder / "state" / "fine-tune.npz").exists():
            raise Broken
        return real(*arguments, **options)

    monkeypatch.setattr(stage, "boundary_batches", breaking)
    with pytest.raises(Broken):
        stage.fine_tune(plan, before)
    monkeypatch.setattr(stage, "boundary_batches", real)
    _, fresh = prepared(fine_tune="2", epochs=4, learning_rate=0.01)
    resumed = values(stage.fine_tune(plan, fresh).model)
    for path, value in straight.items():
        np.testing.assert_array_equal(resumed[path], value, err_msg=path)


def test_a_gain_is_none_of_calibration(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, before = prepared()
    frozen = before.model.get_weights()
    # A frozen head that is much too sure of itself: cooler, it would be as good as what follows.
    hot, labels = before.predictions["validation"]
    sure = apply_temperature(hot, 0.1).astype(np.float32)
    before.predictions = {
        part: (apply_temperature(probabilities, 0.1).astype(np.float32), truth)
        for part, (probabilities, truth) in before.predictions.items()
    }
    still = StageProgress(best_epoch=1, temperature=1.0)
    monkeypatch.setattr(stage, "_fit", lambda *_, **__: still)
    after = stage.fine_tune(plan, before)
    compared = after.stages[-1].compared["validation"]
    assert compared.log_loss.means[1] < losses(sure, labels).mean() - 0.01
    assert abs(compared.log_loss.value) < losses(sure, labels).mean() - losses(hot, labels).mean()
    for weight, value in zip(after.model.get_weights(), frozen, strict=True):
        np.testing.assert_allclose(value, weight)


def test_a_temperature_lies_in_the_last_layer(prepared: Any) -> None:
    _, before = prepared(head="mlp")
    hot, labels = before.predictions["validation"]
    stage.cool(before.model.get_layer("head"), 3.0)
    cold = predict_parts(prepared()[0], before.model, 32)["validation"][0]
    powers = hot.astype(float) ** (1 / 3)
    np.testing.assert_allclose(cold, powers / powers.sum(1, keepdims=True), rtol=1e-4)
    assert (cold.argmax(1) == hot.argmax(1)).all() and len(labels) == len(cold)


def test_a_trunk_and_a_top_together_predict_as_the_whole(prepared: Any) -> None:
    plan, before = prepared(name="mobilenet_v2", fine_tune="3")
    cut = stage._cut(plan, before.model, "3")
    assert cut.lower is not None
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    whole, _ = predict_batches(before.model, [(pixels, np.zeros(2))])
    np.testing.assert_allclose(cut.top(cut.lower(pixels, training=False), training=False), whole, atol=1e-5)


KILLED = """
import os, signal, sys
from pipelines.system.progress import Silent
from pipelines.runs.spec import TrainSpec
from tests.specs import train_spec, with_options
from pipelines.train import train

class Deadly(Silent):
    def task(self, name, total):
        inner = super().task(name, total)
        class Task:
            def __enter__(self):
                self.task = inner.__enter__()
                return self
            def __exit__(self, *error):
                return inner.__exit__(*error)
            def advance(self, *arguments, **fields):
                pass
            def line(self, text, **options):
                if sys.argv[4] in text:
                    os.kill(os.getpid(), signal.SIGKILL)
        return Task()

data, base, out = sys.argv[1:4]
common = dict(data=data, epochs=4, engine="keras")
if base == out:
    train(train_spec(out=out, backbone="small_cnn", weights="none", image_size=32, **common))
else:
    train(train_spec(out=out, backbone=base, fine_tune="2", heads=2, **common), reporter=Deadly())
"""


@pytest.mark.slow
def test_kill_9_in_fine_tuning_ends_with_the_weights_of_an_unbroken_training(
    tmp_path: Path, image_folder: Callable[..., Path]
) -> None:
    import os
    import signal
    import subprocess
    import sys

    data, root = image_folder(per_class=20), Path(__file__).resolve().parents[3]

    def run(base: str, out: str, deadly: str = "never") -> int:
        command = [sys.executable, "-c", KILLED, str(data), str(tmp_path / base), str(tmp_path / out), deadly]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.run(command, cwd=root, env=environment, stderr=subprocess.DEVNULL, check=False).returncode

    assert run("base", "base") == 0
    assert run("base", "whole") == 0
    assert run("base", "broken", "fine-tune epoch 2/4") == -signal.SIGKILL
    assert not (tmp_path / "broken" / "run.json").exists()
    assert run("base", "broken", "fine-tune epoch 2/4") == 0, "epoch 2 is not fitted twice"
    whole, broken = (keras.models.load_model(tmp_path / name / "model.keras") for name in ("whole", "broken"))
    for one, other in zip(whole.weights, broken.weights, strict=True):
        np.testing.assert_array_equal(one.value.numpy(), other.value.numpy(), err_msg=one.path)
    curves = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("whole", "broken")]
    without_seconds = [[line.rpartition(",")[0] for line in lines] for lines in curves]
    assert without_seconds[0] == without_seconds[1]
