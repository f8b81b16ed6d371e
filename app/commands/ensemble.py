"""`headstart ensemble`: combines runs into one ensemble."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.ensemble import AsJson, Method
from app.options.everywhere import terminal_of
from app.options.fit import LARGEST_SEED
from app.options.report import WithReport, show_report


def ensemble(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Folders of runs on the same images.")],
    *,
    out: Annotated[str, typer.Option("--out", "-o", metavar="RUN", help="Folder for the ensemble.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the run in --out.")] = False,
    method: Method = "greedy",
    max_latency: Annotated[
        float | None,
        typer.Option(
            "--max-latency",
            metavar="MS",
            min=0.0,
            max=1e9,
            help="Greatest prediction time per image on this machine, in milliseconds.",
        ),
    ] = None,
    max_size: Annotated[
        float | None,
        typer.Option("--max-size", metavar="MB", min=0.0, max=1e9, help="Greatest size on disk, in megabytes."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Random seed.")] = 0,
    report: WithReport = True,
    as_json: AsJson = False,
) -> None:
    """Combine runs into one ensemble.

    Weights are fitted on validation images that no member was trained on; classes are matched by name. The ensemble is
    compared with its best member.

    headstart ensemble runs/a runs/b --out runs/ab
    """
    terminal = terminal_of(context)
    from pipelines.ensemble import ensemble as combine_runs
    from pipelines.runs.ensemble_spec import EnsembleSpec

    spec = EnsembleSpec(runs=tuple(runs), out=out, method=method, max_latency=max_latency, max_size=max_size, seed=seed)
    manifest = combine_runs(spec, force=force, report=report, reporter=terminal)
    from app.pages.ensemble import show

    show(terminal, manifest, out, as_json=as_json)
    show_report(terminal, out, wanted=report)
