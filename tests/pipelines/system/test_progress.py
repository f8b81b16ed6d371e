"""Phases are timed one after the other; a silent reporter takes every message."""

from __future__ import annotations

import time

import pytest

from pipelines.system.progress import PhaseTimer, Silent


def test_each_phase_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    timer = PhaseTimer()
    now[0] = 102.004
    timer.end_phase("check")
    now[0] = 105.504
    timer.end_phase("train")
    assert timer.seconds == {"check": 2.0, "train": 3.5}
    assert list(timer.seconds) == ["check", "train"]


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Silent()
    reporter.note("a note")
    reporter.warn("a warning")
    with reporter.task("counting", None) as task:
        task.advance(2, loss="0.5")
        task.line("a line", passing=True)
    assert capsys.readouterr() == ("", "")
