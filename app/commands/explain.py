"""`headstart explain`: images in, pictures of what the score of a class depends on out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.options.completion import complete_explanation
from app.options.everywhere import terminal_of
from pipelines.explanations.methods import DEFAULT, METHODS

if TYPE_CHECKING:
    from app.console import Terminal
    from pipelines.explain import Explanations

# Reasons that are printed; the index has all of them.
LISTED = 5


def explain(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Images, folders of images, .txt lists of paths; - reads a list from stdin."
        ),
    ],
    *,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="DIR", help="Folder for the pictures, arrays and JSON files.")
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            autocompletion=complete_explanation,
            show_default=DEFAULT,
            help=f"{', '.join(METHODS)}; repeat it for several.",
        ),
    ] = None,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="NAME", show_default="the predicted one", help="Class whose score is explained."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="NAME", show_default="the last map", help="Layer of the method `activations`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw what the score of a class depends on in images.

    For each image and method a PNG (the picture, the map, the map over the picture) and a .npy: float32, the square
    that the network sees, as the JSON file of the image says. A map shows what this network's score reacts to. It does
    not prove why, nor that the network is right: look at several images, several methods, and at another class.

    headstart explain runs/photos holiday/ --out explained
    """
    terminal = terminal_of(context)
    from pipelines.explain import ExplainRequest
    from pipelines.explain import explain as explain_paths

    request = ExplainRequest(methods=tuple(dict.fromkeys(methods or (DEFAULT,))), class_name=class_name, layer=layer)
    written = explain_paths(run, paths, out, request, stdin=sys.stdin.buffer, reporter=terminal)
    if as_json:
        from app.pages.as_json import print_json

        unreadable = [{"path": path, "reason": reason} for path, reason in written.unreadable]
        print_json(terminal, {"out": str(written.folder), "pictures": list(written.records), "unreadable": unreadable})
    else:
        for panel in written.panels:
            terminal.data(str(panel))
    _report(terminal, written)


def _report(terminal: Terminal, written: Explanations) -> None:
    """Say what is not explained; unreadable images, and no image at all, are exit code 1."""
    from pipelines.system.text import counted, one_line

    if written.grid is not None:
        terminal.note(f"all of them in one picture: `{one_line(written.grid)}`")
    if written.others:
        verb = "is not an image" if written.others == 1 else "are not images"
        terminal.note(f"{counted(written.others, 'file')} in the folders {verb}")
    for path, reason in written.unreadable[:LISTED]:
        terminal.warn(f"`{one_line(path)}` is not explained: {reason}")
    if len(written.unreadable) > LISTED:
        rest = counted(len(written.unreadable) - LISTED, "more input")
        terminal.warn(f"{rest} cannot be read: see `explanations.json`")
    if not written.records and not written.unreadable:
        terminal.warn("there are no images among the inputs")
    if written.unreadable or not written.records:
        raise typer.Exit(1)
