"""`headstart ensemble`: runs that were trained apart, joined to one."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.ensemble import Method
from app.options.everywhere import terminal_of


def ensemble(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Folders of runs on the same images.")],
    *,
    out: Annotated[str, typer.Option("--out", metavar="RUN", help="Folder for the joined run.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the run in --out.")] = False,
    method: Method = "greedy",
    max_latency: Annotated[
        float | None,
        typer.Option("--max-latency", metavar="MS", min=0.0, help="Milliseconds an image it may take on this machine."),
    ] = None,
    max_size: Annotated[
        float | None, typer.Option("--max-size", metavar="MB", min=0.0, help="Megabytes it may have on disk.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
) -> None:
    """Join runs to one that answers for all of them, and say whether that is worth it.

    Weights are fitted on validation images that no member was trained on; classes are matched by name.

    headstart ensemble runs/a runs/b --out runs/ab
    """
    terminal = terminal_of(context)
    from pipelines.ensemble import ensemble as join
    from pipelines.runs.ensemble_spec import EnsembleSpec

    spec = EnsembleSpec(runs=tuple(runs), out=out, method=method, max_latency=max_latency, max_size=max_size, seed=seed)
    manifest = join(spec, force=force, reporter=terminal)
    from app.pages.ensemble import show

    show(terminal, manifest, out)
