"""The page at the end of the demo."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.cells import cell_len

from app.pages.demo import LISTED_PAIRS, demo_page
from pipelines.demo import Demo
from pipelines.evaluation.metrics import report
from pipelines.inference.prediction import Prediction
from tests.app.pages.samples import printed, sample_report
from tests.app.pages.test_compare import difference, row
from tests.app.pages.test_export import exported

LETTERS = ["delta", "epsilon", "lambda", "mu", "omega"]
GAIN = difference("accuracy", 0.459, (0.412, 0.503))


def sample_demo(**fields: Any) -> Demo:  # fields of several types
    values: dict[str, Any] = {  # likewise
        "transfer": row(
            "runs/greek",
            accuracy=0.861,
            log_loss=0.423,
            log_loss_interval=(0.36, 0.49),
            seconds=4.4,
            accuracy_difference=GAIN,
        ),
        "scratch": row("runs/scratch", accuracy=0.402, log_loss=1.912, log_loss_interval=(1.81, 2.02), seconds=21.6),
        "report": sample_report(LETTERS, 800),
        "prediction": Prediction(
            path="10.png",
            status="ok",
            label="delta",
            probability=0.91,
            top_k=(("delta", 0.91), ("mu", 0.0512), ("omega", 0.02)),
        ),
        "truth": "delta",
        "exported": exported(path=Path("runs/demo/exported/1")),
        "picture": Path("runs/demo/demo.png"),
        "folder": Path("runs/demo"),
        "seconds": 71.8,
    }
    assert set(values) == set(inspect.signature(Demo).parameters)
    return Demo(**(values | fields))


def test_the_page_has_both_trainings_and_fits_eighty_columns() -> None:
    demo = sample_demo()
    lines = printed(*demo_page(demo))
    assert max(map(cell_len, lines)) <= 80 and not any("…" in line for line in lines)
    text = "\n".join(lines)
    assert "5 Greek letters, evaluated on 800 images" in text
    rows = {line[:20].strip(): line for line in lines}
    for name, run, seconds in (
        ("head on frozen base", demo.transfer, "4"),
        ("all from scratch", demo.scratch, "22"),
    ):
        assert f"{run.accuracy:.3f} (" in rows[name] and f"{run.log_loss:.3f} (" in rows[name]
        assert rows[name].split()[-1] == seconds
    assert "worth +45.9 points of accuracy (+41.2 .. +50.3, paired)" in text
    assert "image of a delta: delta 0.910, mu 0.051, omega 0.020" in text
    assert "runs/demo/exported/1" in text and "runs/demo (72 s)" in text
    assert "runs/demo/demo.png" in text


def test_the_most_frequent_confusions_are_listed() -> None:
    demo = sample_demo()
    assert len(demo.report.confused) > LISTED_PAIRS
    lines = printed(*demo_page(demo))
    start = next(place for place, line in enumerate(lines) if line.startswith("most confused"))
    assert [line.split()[:2] for line in lines[start + 2 : start + 2 + LISTED_PAIRS]] == [
        [pair.label, pair.predicted] for pair in demo.report.confused[:LISTED_PAIRS]
    ]
    assert not lines[start + 2 + LISTED_PAIRS].strip()


def test_a_perfect_head_has_no_confusions() -> None:
    perfect = report(np.eye(5), range(5), LETTERS)
    assert "most confused" not in "\n".join(printed(*demo_page(replace(sample_demo(), report=perfect))))
