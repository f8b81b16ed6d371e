"""The option `--split`: a part of a data set, by any of the names that its folder may have."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from app.options.completion import complete_part
from pipelines.data.listing import PART_NAMES
from pipelines.runs.examples import Part


def as_part(name: str) -> str:
    """The part that a name means, as in folders: `val` and `valid` are validation.

    Raises:
        BadParameter: no part has this name.
    """
    lower = name.casefold()
    part = PART_NAMES.get(lower, lower)
    if part not in get_args(Part):
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(repr(choice) for choice in get_args(Part))}.")
    return part


Split = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="|".join(get_args(Part)),
        callback=as_part,
        autocompletion=complete_part,
        help="Part to evaluate on (val and valid mean validation); auto: the test part, or of data without parts the "
        "images that the run was neither trained nor selected on.",
    ),
]
