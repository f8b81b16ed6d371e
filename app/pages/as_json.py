"""Prints results of commands as JSON, for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.console import Terminal


def print_json(terminal: Terminal, data: object) -> None:
    """Print plain data on one line of stdout, in ASCII."""
    terminal.data(json.dumps(data, ensure_ascii=True, allow_nan=False))


def print_run(terminal: Terminal, out: str) -> None:
    """Print the record of a complete run, `run.json`, with its folder as `run`."""
    from pipelines.runs.layout import MANIFEST_FILE

    record = json.loads((Path(out) / MANIFEST_FILE).read_text(encoding="utf-8"))
    print_json(terminal, {"run": out, **record})
