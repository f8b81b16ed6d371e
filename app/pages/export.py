"""What `export` shows: where each export lies and how it agrees with its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from app.pages.tables import file_size, table

if TYPE_CHECKING:
    from pipelines.export import Exported


def export_page(done: Sequence[Exported]) -> RenderableType:
    """One row a format: how many images were compared after loading it again without headstart, and how they agree."""
    columns = ("format", "size", "images compared", "max difference", "top-1 agreement")
    rows = [
        (
            each.format,
            file_size(each.bytes),
            each.images,
            f"{each.max_difference:.1e}",
            f"{each.top1_agreement:.0%}",
        )
        for each in done
    ]
    return table(columns, rows, right=columns[1:])
