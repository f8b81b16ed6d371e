"""The options of ensembles: what makes an ensemble of a training, ranges, and lists that the help states."""

from __future__ import annotations

import pytest

from app.options.ensemble import PANEL
from pipelines.ensembles.methods import METHODS
from pipelines.inference.test_time import require_views
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import TrainSpec
from tests.app.options.conftest import Train, assert_range
from tests.app.test_main import Headstart


@pytest.mark.parametrize(
    ("flag", "field", "inside", "outside"),
    [
        ("--seeds", "seeds", (2, 1000), (0, 1001)),
        ("--folds", "folds", (2, 100), (-1, 101)),
    ],
)
def test_a_number_is_taken_up_to_the_edges_of_its_range(
    train: Train, flag: str, field: str, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    def read(spec: MembersSpec | None) -> object:
        assert isinstance(spec, MembersSpec)
        return getattr(spec, field)

    assert_range(train, flag, inside, outside, read)


def test_more_than_one_member_or_a_bootstrap_sample_makes_an_ensemble(train: Train) -> None:
    assert isinstance(train(), TrainSpec)
    assert isinstance(train("--seeds", 1, "--folds", 0), TrainSpec)
    for words in (("--seeds", 2), ("--folds", 2), ("--bag",)):
        assert isinstance(train(*words), MembersSpec), words


def test_the_methods_are_listed_alike_by_both_commands(headstart: Headstart) -> None:
    for command, flag in (("train", "--help-all"), ("ensemble", "--help")):
        page = " ".join(headstart(command, flag).out.split())
        assert f"{PANEL}: " in page
        assert f"--method {'|'.join(METHODS)} " in page
        assert page.count("[default: greedy]") == 1


def test_the_ways_to_average_over_views_that_the_page_names_are_taken(headstart: Headstart) -> None:
    for command in ("evaluate", "predict"):
        page = " ".join(headstart(command, "--help").out.split())
        ways, _, rest = page.partition("--tta ")[2].partition(" ")
        assert rest.startswith(
            "Average over views of each image: mirrored, five crops, these and mirrored, or N light augmentations."
        )
        *names, number = ways.split("|")
        assert (names, number) == (["flip", "crop5", "crop10"], "N")
        for way in (*names, "2", "64"):
            require_views(way)  # raises for what it does not know
