"""One entry in a table is a new backbone, head, policy, method, engine or export format: the command line offers it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models.engines.table import ENGINES
from models.errors import UserError
from models.heads import HEADS
from models.zoo import BACKBONES
from pipelines.backbones import list_backbones
from pipelines.images.policies import POLICIES
from pipelines.runs.spec import TrainSpec
from pipelines.training.plan import TrainingNames, look_up_names
from tests.specs import train_spec

# Copies the first entry of a table under a new name, then runs a command as a user does.
PROGRAM = """
import importlib, sys
module, table, *arguments = sys.argv[1:]
entries = getattr(importlib.import_module(module), table)
entries["toyentry"] = next(iter(entries.values()))
sys.argv = ["headstart", *arguments]
from app.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("module", "table", "arguments"),
    [
        ("models.heads", "HEADS", ["train", "--help-all"]),
        ("models.engines.table", "ENGINES", ["train", "--help-all"]),
        ("models.export", "EXPORTERS", ["export", "--help"]),
        ("pipelines.images.policies", "POLICIES", ["train", "--help-all"]),
        ("pipelines.images.policies", "POLICIES", ["preview", "--help"]),
        ("pipelines.ensembles.methods", "METHODS", ["train", "--help-all"]),
        ("pipelines.ensembles.methods", "METHODS", ["ensemble", "--help"]),
    ],
)
def test_a_new_entry_arrives_in_the_command_line(module: str, table: str, arguments: list[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, table, *arguments],
        env={**os.environ, "COLUMNS": "300", "TERMINAL_WIDTH": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "toyentry" in shown.stdout


@pytest.mark.parametrize(
    ("table", "spec", "record"),
    [
        (HEADS, train_spec(backbone="small_cnn", head="toyentry"), lambda names: names.head),
        (POLICIES, train_spec(backbone="small_cnn", augment="toyentry"), lambda names: names.policy),
        (BACKBONES, train_spec(backbone="toyentry", weights="none"), lambda names: names.source.backbone),
    ],
    ids=["head", "policy", "backbone"],
)
def test_a_training_takes_a_new_entry(
    monkeypatch: pytest.MonkeyPatch,
    table: dict[str, Any],  # of one of three types
    spec: TrainSpec,
    record: Callable[[TrainingNames], object],
) -> None:
    entry = replace(next(iter(table.values())), name="toyentry")
    monkeypatch.setitem(table, "toyentry", entry)
    assert record(look_up_names(spec)) == entry


def test_a_training_takes_a_new_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = train_spec(backbone="small_cnn", engine="toyentry")
    with pytest.raises(UserError, match="unknown engine: `toyentry`"):
        look_up_names(spec)
    monkeypatch.setitem(ENGINES, "toyentry", ENGINES["keras"])
    assert look_up_names(spec).source.name == "small_cnn"


def test_a_new_backbone_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "toyentry", replace(BACKBONES["small_cnn"], name="toyentry"))
    assert "toyentry" in {row.name for row in list_backbones()}
