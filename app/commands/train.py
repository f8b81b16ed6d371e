"""`headstart train`: an image folder in, a run out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from app.help import HelpAll
from app.options.conv import CONV
from app.options.ensemble import MEMBERS, AsJson
from app.options.everywhere import terminal_of
from app.options.fine_tune import FINE_TUNE
from app.options.fit import DATA, FIT, Inits, Optimizers, several
from app.options.network import DEFAULT_BACKBONE, DEFAULT_HEAD, HEAD, NETWORK, Backbones, HeadNames
from app.options.panels import with_panels
from app.options.report import WithReport, show_report
from models.errors import lookup
from pipelines.ensembles.methods import METHODS
from pipelines.runs.ensemble_spec import DEFAULT_METHOD, MembersSpec
from pipelines.runs.spec import ConvSpec, DataSpec, FineTuneSpec, FitSpec, HeadSpec, NetworkSpec, TrainSpec

if TYPE_CHECKING:
    from app.console import Terminal
    from pipelines.runs.manifest import Manifest

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder with a subfolder per class, or with train/, validation/ and test/ of such; a CSV file "
        "with the columns path,label[,split][,group]; or tfds:NAME[:VERSION]. Images of one "
        "group stay in one part and one fold.",
    ),
]


@with_panels(network=NETWORK, conv=CONV, head=HEAD, images=DATA, fit=FIT, fine_tune=FINE_TUNE, ensemble=MEMBERS)
def train(
    context: typer.Context,
    data: Data,
    *,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="RUN", show_default="runs/<data>-<n>, a new one", help="Folder for the run."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace the run in --out; without --out, begin anew instead of resuming."),
    ] = False,
    backbones: Backbones = None,
    network: Callable[..., NetworkSpec],
    conv: Callable[..., ConvSpec],
    head_names: HeadNames = None,
    head: Callable[..., HeadSpec],
    images: Callable[..., DataSpec],
    optimizers: Optimizers = None,
    inits: Inits = None,
    fit: Callable[..., FitSpec],
    fine_tune: Callable[..., FineTuneSpec],
    ensemble: Callable[..., MembersSpec],
    report: WithReport = True,
    as_json: AsJson = False,
    help_all: HelpAll = False,
) -> None:
    """Train a classifier on your own pictures.

    Without --out, the run goes to `runs/<data>-<n>`; the same command resumes an interrupted training.

    headstart train photos/
    headstart train photos/ --backbone mobilenet_v2 --out runs/photos
    """
    terminal = terminal_of(context)
    backbones, head_names = backbones or [DEFAULT_BACKBONE], head_names or [DEFAULT_HEAD]
    spec = TrainSpec(
        out=out or "",
        data=images(path=data),
        network=network(backbone=backbones[0]),
        conv=conv(),
        head=head(name=head_names[0]),
        fit=fit(optimizer=optimizers[0] if optimizers else None, init=inits[0] if inits else None),
        fine_tune=fine_tune(),
    )
    members = ensemble(
        common=spec,
        backbones=tuple(backbones),
        heads=tuple(head_names),
        optimizers=several(optimizers),
        inits=several(inits),
    )
    if out is None:
        members, force = _in_default_place(members, begins_anew=force), False
    _train(terminal, members, force=force, report=report, as_json=as_json)


def _train(terminal: Terminal, members: MembersSpec, *, force: bool, report: bool, as_json: bool) -> None:
    """Train one model or several, and show the end of it."""
    out = members.common.out
    if not members.is_single:
        from pipelines.train_members import train_members

        manifest = train_members(members, force=force, report=report, reporter=terminal)
        from app.pages.ensemble import show

        show(terminal, manifest, out, as_json=as_json)
        show_report(terminal, out, wanted=report)
        return
    lookup(METHODS, members.method, "ensemble method")  # unused here, but a name that is wrong is never ignored
    if members.method != DEFAULT_METHOD:
        terminal.warn("--method: without effect, one model is trained, and there is nothing to join")
    from pipelines.train import train as run_training

    _show(terminal, run_training(members.common, force=force, report=report, reporter=terminal), out)
    show_report(terminal, out, wanted=report)
    if as_json:
        from app.pages.as_json import print_run

        print_run(terminal, out)


def _in_default_place(members: MembersSpec, *, begins_anew: bool) -> MembersSpec:
    """The same without --out: in the folder of the same training, interrupted, or in a new one."""
    from pipelines.runs.default_place import choose_place
    from pipelines.runs.manifest import RunRequest

    def placed(folder: str) -> MembersSpec:
        return replace(members, common=replace(members.common, out=folder))

    def request_in(folder: str) -> RunRequest:
        request = placed(folder)
        return RunRequest(train=request.common) if request.is_single else RunRequest(members=request)

    return placed(choose_place(members.common.data.path, request_in, begins_anew=begins_anew))


def _show(terminal: Terminal, manifest: Manifest, out: str) -> None:
    """Show the scores of a run, what was left out, and what comes next."""
    from app.pages.report import next_lines, skipped_line
    from app.pages.training_end import few_images_warning, training_end

    terminal.page(training_end(manifest), stream="stderr")
    if manifest.data.skipped:
        terminal.warn(f"{skipped_line(manifest.data.skipped)}: see `{out}/skipped.csv`")
    if warning := few_images_warning(manifest):
        terminal.warn(warning)
    for line in next_lines(out):
        terminal.note(line)
