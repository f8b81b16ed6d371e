"""The images and the fitting on the command line: ranges, choices, and defaults that the help states."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from app.options.fit import FIT
from pipelines.fitting.schedule import rate_factor
from pipelines.images.policies import POLICIES
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import FitSpec, Optimizer, Precision, TrainSpec
from pipelines.runs.stages import Recipe
from pipelines.training.plan import list_stages
from tests.app.options.conftest import Train, assert_range
from tests.specs import train_spec


@pytest.mark.parametrize(
    ("flag", "field", "inside", "outside"),
    [
        ("--views", "views", (1, 64), (0, 65)),
        ("--learning-rate", "learning_rate", (1e-8, 100.0), (0, 1e-9, 100.1, "nan")),
        ("--epochs", "epochs", (1, 100_000), (0, "all")),
        ("--patience", "patience", (1, 100_000), (0,)),
        ("--batch", "batch", (1, 4096), (0, 4097)),
        ("--weight-decay", "weight_decay", (0.0, 1.0), (-0.1, 1.1, "nan")),
        ("--seed", "seed", (0, 4_000_000_000), (-1, 4_000_000_001)),
    ],
)
def test_a_number_is_taken_up_to_the_edges_of_its_range(
    train: Train, flag: str, field: str, inside: tuple[float, ...], outside: tuple[object, ...]
) -> None:
    def read(spec: TrainSpec | None) -> object:
        assert isinstance(spec, TrainSpec)
        return getattr(spec.data if field == "views" else spec.fit, field)

    assert_range(train, flag, inside, outside, read)


def test_the_members_seeds_can_be_drawn_with_however_great_the_first(train: Train) -> None:
    asked = train("--seed", 4_000_000_000, "--seeds", 1000)
    assert isinstance(asked, MembersSpec)
    last = asked.common.fit.seed + asked.seeds - 1
    np.random.RandomState(last)  # which Keras seeds; it raises beyond 32 bits


@pytest.mark.parametrize(
    ("flag", "choices"),
    [
        ("--optimizer", get_args(Optimizer)),
        ("--precision", get_args(Precision)),
        ("--class-weights", ("auto", "none")),
    ],
)
def test_the_choices_are_those_of_the_record(train: Train, page: str, flag: str, choices: tuple[str, ...]) -> None:
    assert f"{flag} {'|'.join(choices)} " in page
    for choice in choices:
        asked = train(flag, choice)
        assert isinstance(asked, TrainSpec) and getattr(asked.fit, flag.strip("-").replace("-", "_")) == choice
    assert train(flag, "other") is None


def test_the_cache_is_on_and_the_later_of_two_flags_wins(train: Train) -> None:
    flags = {(): True, ("--cache",): True, ("--no-cache",): False, ("--no-cache", "--cache"): True}
    for words, is_on in flags.items():
        asked = train(*words)
        assert isinstance(asked, TrainSpec) and asked.data.cache is is_on


def test_the_page_states_what_is_done_where_nothing_is_asked_for(page: str) -> None:
    assert f"[default: {FitSpec().rule}; a classic's own]" in page
    assert f"[default: {FitSpec().batch_size}; a classic's own; 1 to 4096]" in page


def test_the_page_lists_the_policies_and_light_is_what_it_says(page: str) -> None:
    assert f"--augment POLICY {', '.join(POLICIES)}, or a TOML file; `light` flips left and right," in page
    layers = {step.layer: step.arguments for step in POLICIES["light"].steps}
    assert list(layers) == ["RandomFlip", "RandomRotation", "RandomZoom"]
    assert layers["RandomFlip"]["mode"] == "horizontal"


def test_the_help_of_the_learning_rate_says_what_fine_tuning_does_with_it() -> None:
    text = get_args(FIT.options["learning_rate"])[1].help
    head, top = list_stages(train_spec(fine_tune="2", learning_rate=0.5), is_untrained=False)
    assert (head.learning_rate, top.learning_rate) == (0.5, 0.05) and "--fine-tune starts at a tenth of it" in text
    falling = [rate_factor(Recipe(schedule="cosine"), done, 4) for done in range(5)]
    assert falling == sorted(falling, reverse=True) and "follows a cosine" in text
