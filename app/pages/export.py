"""Prints the exports of a run: their size, and how their predictions agree with those of the run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from app.pages.tables import file_size, table
from models.export import EXPORTERS
from pipelines.runs.layout import MANIFEST_FILE

if TYPE_CHECKING:
    from pipelines.export import Exported


def export_page(exports: Sequence[Exported]) -> Table:
    """One row per format; the images were predicted by the export, loaded without headstart, and by the run."""
    columns = ("format", "size", "images compared", "max difference", "top-1 agreement")
    rows = [
        (
            export.format,
            file_size(export.bytes),
            export.images,
            f"{export.max_difference:.1e}",
            f"{export.top1_agreement:.0%}",
        )
        for export in exports
    ]
    return table(columns, rows, right=columns[1:])


def usage_lines(exports: Sequence[Exported], run: str, side: int) -> list[str]:
    """How to ask each export: its signatures, a script that runs, and the command that serves it.

    Args:
        exports: that were written.
        run: folder of the run.
        side: of the model's square input, pixels.
    """
    lines: list[str] = []
    for export in exports:
        exporter = EXPORTERS[export.format]
        lines += ["", f"{export.format}, {export.path}", "  signatures:"]
        lines += [f"    {signature}" for signature in export.signatures]
        if exporter.snippet:
            manifest = str(Path(run) / MANIFEST_FILE)
            script = exporter.snippet.format(path=str(export.path), manifest=manifest, side=side)
            lines += ["  in Python:", *(f"    {line}" for line in script.splitlines())]
        if exporter.is_versioned:
            lines += ["  with TensorFlow Serving:", *(f"    {line}" for line in serving_command(export.path.parent))]
    return lines


def serving_command(folder: Path) -> tuple[str, ...]:
    """The command that serves the highest version in a folder, and where it answers.

    Args:
        folder: holds numbered SavedModels.
    """
    place = folder.resolve()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", place.name).strip("-") or "model"
    return (
        f"docker run -p 8501:8501 -v {shlex.quote(f'{place}:/models/{name}')} \\",
        f"  -e MODEL_NAME={name} tensorflow/serving",
        f"it answers at http://localhost:8501/v1/models/{name}:predict",
    )
