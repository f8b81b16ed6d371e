"""`headstart cache`: shows the contents of the cache, or deletes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.options.everywhere import terminal_of

if TYPE_CHECKING:
    from app.console import Terminal
    from pipelines.system.cache_contents import CacheUsage


def cache(
    context: typer.Context,
    action: Annotated[
        Literal["show", "clear"],
        typer.Argument(metavar="[show|clear]", help="Show the contents, or delete them.", show_default="show"),
    ] = "show",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show or clear the cache of features.

    Everything in it can be computed again. Other files that lie in its folder are left alone.

    headstart cache
    headstart cache clear
    """
    from pipelines.system.cache import cache_folder, cache_limit
    from pipelines.system.cache_contents import cache_usage, clear_cache

    terminal = terminal_of(context)
    if action == "clear":
        from app.pages.tables import file_size

        cleared = clear_cache()
        terminal.note(f"cleared `{cache_folder()}`: {file_size(cleared.size)}")
        if as_json:
            from app.pages.as_json import print_json

            print_json(terminal, {"folder": str(cache_folder()), "cleared": cleared.size, "kept": cleared.kept})
        if cleared.kept:
            terminal.note(f"kept {file_size(cleared.kept)} of checked and converted images: another command uses them")
        return
    usage, limit = cache_usage(), cache_limit()
    if as_json:
        import json
        from dataclasses import asdict

        contents = [asdict(kind) for kind in usage]
        terminal.data(json.dumps({"folder": str(cache_folder()), "limit": limit, "contents": contents}))
        return
    _show(terminal, usage, limit)


def _show(terminal: Terminal, usage: list[CacheUsage], limit: int) -> None:
    from app.pages.tables import file_size, table
    from pipelines.system.cache import cache_folder

    now = time.time()
    rows = [
        (kind.name, f"{kind.files:,}", file_size(kind.size), f"{max(0, now - kind.used) / 86400:.1f} days")
        for kind in usage
    ]
    if rows:
        terminal.page(table(("content", "files", "size", "unused for"), rows, right=("files", "size", "unused for")))
    total = file_size(sum(kind.size for kind in usage))
    limited = f"features and converted images take at most {file_size(limit)} (HEADSTART_CACHE_LIMIT)"
    terminal.note(f"`{cache_folder()}`: {total}; {limited}")
