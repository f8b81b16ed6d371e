"""The processor and the graphics cards are named as the system names them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models import machine
from models.engines.table import ENGINES


@pytest.mark.parametrize(
    ("flags", "able"),
    [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16 amx_tile", True), ("fpu avx2 avx512f", False), (None, False)],
)
def test_bfloat16_is_offered_only_where_the_processor_says_so(
    flags: str | None, able: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some Processor\nflags\t\t: {flags}\n", encoding="utf-8")
    monkeypatch.setattr(machine, "_CPUINFO", cpuinfo)

    assert ("bfloat16" in ENGINES["tensorflow"].precisions()) == able
    assert bool(machine.processor_name())


def test_a_processor_has_its_name_and_the_cores_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some Processor @ 3 GHz\nprocessor\t: 1\n", encoding="utf-8")
    monkeypatch.setattr(machine, "_CPUINFO", cpuinfo)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5})
    assert machine.processor_name() == "Some Processor @ 3 GHz x 3"


def test_graphics_cards_are_named_by_their_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / "missing")
    assert machine.gpu_names() == ()
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        file = tmp_path / "gpus" / bus / "information"
        file.parent.mkdir(parents=True)
        file.write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 42\n", encoding="utf-8")
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / "gpus")
    assert machine.gpu_names() == ("NVIDIA H100 80GB HBM3",) * 2


def test_free_memory_is_the_systems_or_what_a_container_still_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "_CONTAINER", tmp_path)
    assert machine.free_memory() is None
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemFree: 100 kB\nMemAvailable:    9000 kB\n")
    assert machine.free_memory() == 9000 * 1024
    for name, content in (("max", "max"), ("current", "3000000"), ("stat", "anon 7\ninactive_file 500000\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    assert machine.free_memory() == 9000 * 1024, "a container without a limit"
    (tmp_path / "memory.max").write_text("8000000\n")
    assert machine.free_memory() == 8_000_000 - 3_000_000 + 500_000
