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
from pipelines.inference.prediction_rows import Prediction
from tests.app.pages.samples import printed, sample_report
from tests.app.pages.test_export import exported

DIGITS = ["five", "six", "seven", "eight", "nine"]


def sample_demo(**fields: Any) -> Demo:  # fields of several types
    values: dict[str, Any] = {  # likewise
        "first": None,  # the page shows nothing of the first training
        "transfer": sample_report(DIGITS, 800),
        "scratch": sample_report(DIGITS, 80),
        "transfer_seconds": 4.4,
        "scratch_seconds": 21.6,
        "prediction": Prediction(
            path="digit.png",
            status="ok",
            label="seven",
            probability=0.91,
            top_k=(("seven", 0.91), ("nine", 0.0512), ("five", 0.02)),
        ),
        "truth": "seven",
        "exported": exported(path=Path("runs/demo/exported/1")),
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
    assert "evaluated on 800 others" in text
    rows = {line[:20].strip(): line for line in lines}
    for name, scores, seconds in (
        ("head on frozen base", demo.transfer, "4"),
        ("all from scratch", demo.scratch, "22"),
    ):
        assert f"{scores.accuracy:.3f} (" in rows[name] and f"{scores.log_loss:.3f} (" in rows[name]
        assert rows[name].split()[-1] == seconds
    assert "image of a seven: seven 0.910, nine 0.051, five 0.020" in text
    assert "runs/demo/exported/1" in text and "runs/demo (72 s)" in text


def test_the_most_frequent_confusions_are_listed() -> None:
    demo = sample_demo()
    assert len(demo.transfer.confused) > LISTED_PAIRS
    lines = printed(*demo_page(demo))
    start = next(place for place, line in enumerate(lines) if line.startswith("most confused"))
    assert [line.split()[:2] for line in lines[start + 2 : start + 2 + LISTED_PAIRS]] == [
        [pair.label, pair.predicted] for pair in demo.transfer.confused[:LISTED_PAIRS]
    ]
    assert not lines[start + 2 + LISTED_PAIRS].strip()


def test_a_perfect_head_has_no_confusions() -> None:
    perfect = report(np.eye(5), range(5), DIGITS)
    assert "most confused" not in "\n".join(printed(*demo_page(replace(sample_demo(), transfer=perfect))))
