"""Prints the exports of a run: their size, and how their predictions agree with those of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from app.pages.tables import file_size, table

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
