"""`headstart cache`: what headstart keeps, how much it is, and how to be rid of it."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from app.options.everywhere import terminal_of
from app.words import size_of


def cache(
    context: typer.Context,
    action: Annotated[
        Literal["show", "clear"], typer.Argument(metavar="[show|clear]", help="What to do.", show_default="show")
    ] = "show",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show or clear the cache of features; nothing in it cannot be computed again.

    headstart cache
    headstart cache clear
    """
    from pipelines.system.cache import cache_folder, cache_limit, cache_usage, clear_cache

    terminal = terminal_of(context)
    if action == "clear":
        terminal.note(f"cleared `{cache_folder()}`: {size_of(clear_cache())}")
        return
    held, most = cache_usage(), cache_limit()
    if as_json:
        import json
        from dataclasses import asdict

        terminal.data(
            json.dumps({"folder": str(cache_folder()), "limit": most, "contents": [asdict(each) for each in held]})
        )
        return
    from app.console import table

    now = time.time()
    rows = [
        (each.name, f"{each.files:,}", size_of(each.size), f"{max(0, now - each.used) / 86400:.1f} days")
        for each in held
    ]
    if rows:
        terminal.page(table(("content", "files", "size", "unused for"), rows, right=("files", "size", "unused for")))
    total = sum(each.size for each in held)
    terminal.note(
        f"`{cache_folder()}`: {size_of(total)}; features are kept up to {size_of(most)} (HEADSTART_CACHE_LIMIT, in GB)"
    )
