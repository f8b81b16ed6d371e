"""The options that `train` and `ensemble` share, or that make an ensemble of a training."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.completion import complete_method, complete_views
from app.options.panels import Panel
from pipelines.ensembles.methods import METHODS
from pipelines.runs.ensemble_spec import MembersSpec

PANEL = "Ensemble"
Tta = Annotated[
    str | None,
    typer.Option(
        "--tta",
        autocompletion=complete_views,
        metavar="flip|crop5|crop10|N",
        show_default="none",
        help="Average over views of each image: mirrored, five crops, these and mirrored, or N light augmentations.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        autocompletion=complete_method,
        metavar="|".join(METHODS),
        rich_help_panel=PANEL,
        help="How members are joined; greedy selects those that lower the validation log-loss together.",
    ),
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds",
        min=1,
        max=1000,
        rich_help_panel=PANEL,
        help="Members of each kind, seed by seed; a linear head on a frozen base is changed by a seed only with --bag, "
        "--boost, --dropout or --views.",
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        "--folds",
        min=0,
        max=100,
        rich_help_panel=PANEL,
        show_default="none",
        help="Cross-validation: a member for each fold, every image outside the test part judged by one that "
        "did not see it.",
    ),
]
Bag = Annotated[
    bool,
    typer.Option(
        "--bag", rich_help_panel=PANEL, help="Train each head, or network from scratch, on a bootstrap sample."
    ),
]
Boost = Annotated[
    bool,
    typer.Option(
        "--boost",
        rich_help_panel=PANEL,
        help="Train the --seeds of a head, or of a network from scratch, in sequence: half of what the second sees the "
        "first gets wrong out of fold, half of what the third sees those disagree on. It can take three times as long.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the run's record, run.json with its folder, as one JSON object.")
]
MEMBERS = Panel(
    record=MembersSpec, options={"seeds": Seeds, "folds": Folds, "bag": Bag, "boost": Boost, "method": Method}
)
