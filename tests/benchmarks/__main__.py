"""Runs what is measured rather than asserted: `make bench`, or `python -m tests.benchmarks [NAME ...]`.

A benchmark is a module in this folder with a function `measure() -> list[dict[str, object]]`: one flat dictionary a row
(what was measured, the number, its unit). Rows go to `.bench/NAME.json` with the machine they were measured on, and to
stdout as a table. Modules without it are scripts with arguments of their own.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import time
from pathlib import Path

from app.console import Terminal
from app.pages.tables import table
from models.machine import count_cores
from pipelines.system.versions import versions

FOLDER = Path(".bench")


def names() -> list[str]:
    """Every benchmark, by module name."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return [file.stem for file in files if "\ndef measure(" in file.read_text(encoding="utf-8")]


def main(chosen: list[str]) -> int:
    """Run the benchmarks named (all, where none is) and return an exit code."""
    unknown = [name for name in chosen if name not in names()]
    terminal = Terminal()
    if unknown:
        terminal.error(f"unknown benchmark: `{unknown[0]}`", f"choose from: {', '.join(names()) or 'none yet'}")
        return 2
    FOLDER.mkdir(exist_ok=True)
    for name in chosen or names():
        began = time.monotonic()
        rows = importlib.import_module(f"tests.benchmarks.{name}").measure()
        terminal.note(f"{name}: {time.monotonic() - began:.0f} s")
        machine = {"cpus": count_cores(), "machine": platform.machine(), **versions()}
        written = json.dumps({"name": name, "machine": machine, "rows": rows}, indent=2)
        (FOLDER / f"{name}.json").write_text(written + "\n", encoding="utf-8")
        columns = list(dict.fromkeys(key for row in rows for key in row))
        numbers = [key for key in columns if all(isinstance(row.get(key, 0), int | float) for row in rows)]
        cells = [[_shown(row.get(key, "")) for key in columns] for row in rows]
        terminal.page(table(columns, cells, right=numbers))
    return 0


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
