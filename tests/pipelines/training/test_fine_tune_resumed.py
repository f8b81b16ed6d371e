"""Fine-tuning that was interrupted: it ends with the weights of an unbroken training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.runs.layout import is_run
from pipelines.runs.models import load_run
from pipelines.runs.spec import TrainSpec
from pipelines.train import train
from pipelines.training import activations as module
from pipelines.training.fine_tune import fine_tune
from tests.pipelines.killed import train_until
from tests.pipelines.reporters import AllLines
from tests.pipelines.training.prepared import Prepare, weights_of
from tests.specs import train_spec


def test_an_interrupted_stage_ends_with_the_weights_of_an_unbroken_one(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, frozen = prepared(fine_tune="2", epochs=4, learning_rate=0.01)
    unbroken = weights_of(fine_tune(plan, frozen).model)

    class Interrupted(Exception):
        pass

    plan, frozen = prepared(fine_tune="2", epochs=4, learning_rate=0.01)
    boundary_batches = vars(module)["boundary_batches"]

    def interrupted(*arguments: Any, **options: Any) -> Any:  # those of `boundary_batches`
        if options.get("order") is not None and (plan.folder / "state" / "fine-tune.npz").exists():
            raise Interrupted
        return boundary_batches(*arguments, **options)

    monkeypatch.setattr(module, "boundary_batches", interrupted)
    with pytest.raises(Interrupted):
        fine_tune(plan, frozen)
    monkeypatch.setattr(module, "boundary_batches", boundary_batches)
    _, fresh = prepared(fine_tune="2", epochs=4, learning_rate=0.01)
    resumed = weights_of(fine_tune(plan, fresh).model)
    for path, value in unbroken.items():
        np.testing.assert_array_equal(resumed[path], value, err_msg=path)


@pytest.mark.slow
def test_kill_9_in_fine_tuning_ends_with_the_weights_of_an_unbroken_training(drawn: Path, tmp_path: Path) -> None:
    def spec(out: str) -> TrainSpec:
        return train_spec(
            data=str(drawn / "data"),
            out=str(tmp_path / out),
            backbone=str(drawn / "two"),
            fine_tune="2",
            epochs=4,
            heads=2,
            engine="keras",
        )

    train(spec("whole"))
    train_until("fine-tune epoch 2/4", spec("broken"))
    assert not is_run(tmp_path / "broken")
    reporter = AllLines()
    train(spec("broken"), reporter=reporter)
    epochs = [line.partition(":")[0] for line in reporter.lines if line.startswith("fine-tune epoch")]
    assert epochs == ["fine-tune epoch 3/4", "fine-tune epoch 4/4"]
    whole, broken = (load_run(tmp_path / name)[0] for name in ("whole", "broken"))
    for weight, resumed in zip(whole.weights, broken.weights, strict=True):
        np.testing.assert_array_equal(resumed.value.numpy(), weight.value.numpy(), err_msg=weight.path)
    curves = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("whole", "broken")]
    without_seconds = [[line.rpartition(",")[0] for line in lines] for lines in curves]
    assert without_seconds[0] == without_seconds[1]
