"""`headstart backbones`: the list of backbones, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from pipelines.catalogue import Entry


def catalogue_page(entries: Sequence[Entry], folder: str) -> Table:
    """The list.

    Args:
        entries: in the order of the rows.
        folder: where Keras keeps weights, for the caption.
    """
    table = _table()
    table.add_column("backbone", no_wrap=True)
    for heading in ("input", "params", "MB", "top-1", "top-5"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for entry in entries:
        table.add_row(
            entry.name,
            str(entry.image_size),
            _millions(entry.parameters if entry.parameters is not None else entry.base_parameters),
            "-" if entry.size_mb is None else str(entry.size_mb),
            _percent(entry.top1),
            _percent(entry.top5),
            "cached" if entry.cached else "download" if entry.pretrained else "none",
        )
    table.caption = Text(
        "params: with the top for ImageNet; top-1, top-5: per cent on ImageNet, as\n"
        "Keras documents them; none: there are no weights, it is trained from scratch\n"
        f"cached: in {folder}"
    )
    table.caption_justify = "left"
    return table


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 950_000 else f"{count / 1e6:.2f} M"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
