"""The option `--coverage`: how often a set of classes is to hold the true one."""

from __future__ import annotations

from typing import Annotated

import typer

Coverage = Annotated[
    float | None,
    typer.Option(
        "--coverage",
        metavar="SHARE",
        min=0.0,
        max=1.0,
        show_default="none",
        help="Add the set of classes that an image may belong to, which holds the true one for this share of images, "
        "such as 0.9: conformal prediction, by images that the run was not fitted to.",
    ),
]
PerClass = Annotated[
    bool,
    typer.Option("--per-class", help="Hold --coverage within each class, not only on average over all; sets grow."),
]
