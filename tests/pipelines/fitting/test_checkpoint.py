"""Checkpoints: an interrupted training resumes where it was, also from a file of an earlier version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import UserError
from models.optimizer import LayerwiseOptimizer
from pipelines.fitting.checkpoint import Checkpoint, StageProgress
from pipelines.fitting.step import StepState
from pipelines.runs.stages import Recipe, Stage
from pipelines.runs.training_records import EpochRecord
from tests.pipelines.fitting.small_network import FULL, STAGE, build_network, fit, training_batches, values_of

ROOT = Path(__file__).resolve().parents[3]


class Interrupted(Exception):
    pass


def interrupted_in(interrupted_epoch: int) -> Callable[[int], Any]:
    """Training batches that end with an exception in the middle of an epoch."""

    def train(epoch: int) -> Any:
        for number, batch in enumerate(training_batches(epoch)):
            if epoch == interrupted_epoch and number == 1:
                raise Interrupted
            yield batch

    return train


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(optimizer="sgd"), FULL], ids=["adam", "sgd", "everything"])
@pytest.mark.parametrize("epoch", [0, 2])
def test_an_interrupted_training_ends_with_the_weights_it_would_have_had(
    tmp_path: Path, recipe: Recipe, epoch: int
) -> None:
    whole = build_network()
    straight = fit(whole, tmp_path / "whole", recipe=recipe)
    with pytest.raises(Interrupted):
        fit(build_network(), tmp_path / "interrupted", recipe=recipe, train=interrupted_in(epoch))
    again = build_network()
    resumed = fit(again, tmp_path / "interrupted", recipe=recipe)
    for expected, variable in zip(whole.variables, again.variables, strict=True):
        np.testing.assert_array_equal(values_of(expected), values_of(variable), err_msg=variable.path)
    histories = [[replace(record, seconds=None) for record in progress.history] for progress in (straight, resumed)]
    assert histories[0] == histories[1]
    assert resumed.best_epoch == straight.best_epoch


SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.pipelines.fitting import small_network
interrupted_epoch = int(sys.argv[2])
def train(epoch):
    for number, batch in enumerate(small_network.training_batches(epoch)):
        if (epoch, number) == (interrupted_epoch, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
small_network.fit(small_network.build_network(), Path(sys.argv[1]), recipe=small_network.FULL, train=train)
"""


@pytest.mark.slow
def test_kill_9_in_the_middle_of_an_epoch_loses_that_epoch_and_nothing_else(tmp_path: Path) -> None:
    for epoch in (1, 3):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "state"), str(epoch)]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    resumed, whole = build_network(), build_network()
    fit(resumed, tmp_path / "state", recipe=FULL)
    fit(whole, tmp_path / "whole", recipe=FULL)
    for expected, variable in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(values_of(expected), values_of(variable), err_msg=variable.path)


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    model, again = build_network(), build_network()
    progress = fit(model, tmp_path)
    assert fit(again, tmp_path, train=interrupted_in(0)) == progress
    for expected, weight in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, weight)


# As headstart 0.1.0 wrote it after the second of four epochs.
EARLIER_PROGRESS = (
    '{"epoch": 2, "best_loss": 0.8323909640312195, "best_epoch": 2, "temperature": 1.25, "since": 1, "plateau": 2, '
    '"rate": 0.1, "steps": 6, "stopped": false, "adapted": {"pieces": 2, "scale": 16384.0, "calm": 5}, "history": '
    '[{"stage": "fine-tune", "epoch": 1, "loss": 1.0953413049379985, "accuracy": 0.3958333333333333, '
    '"validation_loss": 0.9818299412727356, "validation_accuracy": 0.5833333333333334, "learning_rate": 0.003, '
    '"seconds": 0.46}, {"stage": "fine-tune", "epoch": 2, "loss": 0.896100123723348, "accuracy": 0.6875, '
    '"validation_loss": NaN, "validation_accuracy": 0.7291666666666666, "learning_rate": 0.003, "seconds": 0.01}]}'
)


def small_checkpoint(folder: Path, stage: Stage = STAGE) -> tuple[keras.Model, Checkpoint]:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="dense")(inputs))
    variables = model.trainable_variables
    return model, Checkpoint(model, LayerwiseOptimizer("sgd", variables, [1.0, 1.0]), [], folder, stage)


def test_a_checkpoint_of_an_earlier_version_loads(tmp_path: Path) -> None:
    model, checkpoint = small_checkpoint(tmp_path)
    # The weights of the model, then of the best epoch; what follows in a file belongs to the optimizer.
    checkpoint.save(StageProgress(), [])
    arrays: dict[str, Any] = dict(np.load(checkpoint.path))
    arrays |= {"now0": np.array([[1.5], [2.5]], np.float32), "now1": np.array([3.5], np.float32)}
    arrays |= {"best0": np.array([[4.5], [5.5]], np.float32), "best1": np.array([6.5], np.float32)}
    arrays["progress"] = np.frombuffer(EARLIER_PROGRESS.encode(), np.uint8)
    np.savez(tmp_path / "fine-tune.npz", **arrays)

    progress, best_weights = checkpoint.load()

    assert (progress.epoch, progress.best_epoch, progress.steps, progress.is_stopped) == (2, 2, 6, False)
    assert (progress.best_loss, progress.temperature) == (0.8323909640312195, 1.25)
    assert (progress.epochs_since_best, progress.plateau_epochs, progress.plateau_factor) == (1, 2, 0.1)
    assert progress.step_state == StepState(pieces=2, loss_scale=16384.0, finite_steps=5)
    assert [record.loss for record in progress.history] == [1.0953413049379985, 0.896100123723348]
    assert progress.history[0].seconds == 0.46
    np.testing.assert_array_equal(model.get_weights()[0], [[1.5], [2.5]])
    np.testing.assert_array_equal(best_weights[0], [[4.5], [5.5]])
    np.testing.assert_array_equal(best_weights[1], [6.5])


def test_a_checkpoint_keeps_the_names_of_earlier_versions(tmp_path: Path) -> None:
    _, checkpoint = small_checkpoint(tmp_path)
    progress = earlier_progress()
    weights = [np.zeros((2, 1), np.float32), np.zeros(1, np.float32)]
    checkpoint.save(progress, weights)
    with np.load(tmp_path / "fine-tune.npz") as arrays:
        assert arrays["progress"].tobytes().decode() == EARLIER_PROGRESS
        assert {"now0", "now1", "best0", "best1"} <= set(arrays)
        assert "best2" not in arrays


def test_a_stage_of_one_block_has_a_file_of_its_own(tmp_path: Path) -> None:
    stage = Stage(name="layer-wise", unfreeze="block2", epochs=1, learning_rate=1e-3)
    assert small_checkpoint(tmp_path, stage)[1].path.name == "layer-wise-block2.npz"


def test_without_a_file_a_stage_starts_from_the_beginning(tmp_path: Path) -> None:
    assert small_checkpoint(tmp_path / "missing")[1].load() == (StageProgress(), [])


def earlier_progress() -> StageProgress:
    values = json.loads(EARLIER_PROGRESS)
    return StageProgress(
        epoch=2,
        best_loss=0.8323909640312195,
        best_epoch=2,
        temperature=1.25,
        epochs_since_best=1,
        plateau_epochs=2,
        plateau_factor=0.1,
        steps=6,
        step_state=StepState(pieces=2, loss_scale=16384.0, finite_steps=5),
        history=[EpochRecord(**record) for record in values["history"]],
    )


def _arrays(path: Path) -> dict[str, Any]:  # of several types
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: arrays.pop("now1"), "it is of another network"),
        (lambda arrays: arrays.update(now9=np.zeros(1)), "it is of another network"),
        (lambda arrays: arrays.update(now0=np.zeros((3, 1), np.float32)), "it is of another network"),
        (lambda arrays: arrays.update(now0=np.array([["a"], ["b"]])), "it is of another network"),
        (lambda arrays: arrays.pop("best1"), "it is of another network"),
        (lambda arrays: arrays.pop("progress"), "its progress is not JSON"),
        (lambda arrays: arrays.update(progress=np.frombuffer(b'{"epoch": "3"}', np.uint8)), "`epoch`"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_changes_no_weight(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    model, checkpoint = small_checkpoint(tmp_path)
    checkpoint.save(earlier_progress(), [np.zeros((2, 1), np.float32), np.zeros(1, np.float32)])
    arrays = _arrays(checkpoint.path)
    arrays["now0"] = np.full((2, 1), 7, np.float32)
    change(arrays)
    np.savez(checkpoint.path, **arrays)
    before = model.get_weights()[0]
    with pytest.raises(UserError, match=words) as caught:
        checkpoint.load()
    assert f"`{checkpoint.path}` is damaged" in caught.value.message
    np.testing.assert_array_equal(model.get_weights()[0], before)
    # What the hint says helps.
    checkpoint.path.unlink()
    assert checkpoint.load() == (StageProgress(), [])
