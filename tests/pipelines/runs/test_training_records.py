"""Records of heads and epochs: what run.json and history.csv get from them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from pipelines.runs.training_records import EpochRecord, HeadTrial


def test_a_trial_has_the_keys_of_the_bank_in_run_json() -> None:
    trial = HeadTrial(
        number=3,
        l2=0.01,
        learning_rate=1e-3,
        dropout=0.0,
        seed=7,
        best_epoch=0,
        validation_loss=None,
        validation_accuracy=0.5,
    )
    assert json.dumps(asdict(trial)) == (
        '{"number": 3, "l2": 0.01, "learning_rate": 0.001, "dropout": 0.0, "seed": 7, "best_epoch": 0, '
        '"validation_loss": null, "validation_accuracy": 0.5, "features": "last", '
        '"training_loss": null, "training_accuracy": null}'
    )


def test_an_epoch_lists_what_its_stage_measures_in_the_order_of_the_columns() -> None:
    head = EpochRecord(stage="head", epoch=1, loss=1.5, validation_loss=1.25, validation_accuracy=0.0)
    assert list(head.measured().items()) == [
        ("stage", "head"),
        ("epoch", 1),
        ("loss", 1.5),
        ("validation_loss", 1.25),
        ("validation_accuracy", 0.0),
    ]
    network = EpochRecord(
        stage="fine-tune",
        epoch=2,
        loss=1.5,
        accuracy=0.0,
        validation_loss=1.25,
        validation_accuracy=0.5,
        learning_rate=1e-4,
        seconds=0.0,
    )
    assert list(network.measured()) == [
        "stage",
        "epoch",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
        "seconds",
    ]
    values: dict[str, Any] = dict(network.measured())
    assert EpochRecord(**values) == network


def test_the_records_need_no_numpy() -> None:
    code = "import sys, pipelines.runs.training_records; assert not {'numpy', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
