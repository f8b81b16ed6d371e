"""An option that nothing reads is named; one that something reads is not."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from pipelines.training import options_without_effect as module
from pipelines.training.options_without_effect import options_without_effect
from tests.specs import train_spec, with_options

PLAIN = train_spec(data="photos", out="run")
GIVEN: dict[str, Any] = {
    "layer_decay": 0.5,
    "warm_up": 0.0,
    "clip": 0.0,
    "train_bn": True,
    "batch": 8,
    "patience": 3,
    "weight_decay": 0.01,
    "momentum": 0.5,
    "kernel": 3,
    "activation": "tanh",
    "dense": "50",
    "channels": 3,
    "label_smoothing": 0.1,
    "ema": 0.9,
    "precision": "bfloat16",
    "tensorboard": True,
    "heads": 64,
    "l2": 0.1,
    "views": 4,
    "engine": "keras",
}
SMALL_NETWORK = {"kernel", "activation", "dense", "channels"}
FINE_TUNING, FEATURES = {"layer_decay", "warm_up", "clip", "train_bn"}, {"heads", "l2", "views", "engine"}


@pytest.mark.parametrize(
    ("training", "is_untrained", "unread"),
    [
        ({}, False, set(GIVEN) - FEATURES),
        ({"fine_tune": "2"}, False, SMALL_NETWORK | {"momentum"}),
        ({"fine_tune": "2", "optimizer": "sgd"}, False, SMALL_NETWORK),
        ({"cache": False}, False, FINE_TUNING | FEATURES | SMALL_NETWORK | {"momentum"}),
        ({"cache": False, "fine_tune": "2", "optimizer": "sgd"}, False, FEATURES | SMALL_NETWORK),
        ({"weights": "none"}, True, FINE_TUNING | FEATURES | SMALL_NETWORK),
        ({"weights": "none", "optimizer": "adam"}, True, FINE_TUNING | FEATURES | SMALL_NETWORK | {"momentum"}),
        ({"backbone": "conv:10,20"}, True, FINE_TUNING | FEATURES),
    ],
)
@pytest.mark.parametrize("name", GIVEN)
def test_what_nothing_reads_is_named(training: dict[str, Any], is_untrained: bool, unread: set[str], name: str) -> None:
    lines = options_without_effect(with_options(PLAIN, **{name: GIVEN[name]}, **training), is_untrained=is_untrained)
    flag = f"--{name.replace('_', '-')}"
    assert [line.split(":")[0] for line in lines] == ([flag] if name in unread else [])


def test_what_is_not_given_is_not_named() -> None:
    assert options_without_effect(PLAIN, is_untrained=False) == options_without_effect(PLAIN, is_untrained=True) == []


def test_augmentation_needs_more_than_the_clean_view() -> None:
    augmented = with_options(PLAIN, augment="light", rotate90=True)
    (line,) = options_without_effect(with_options(augmented, views=1), is_untrained=False)
    assert line.startswith("--augment, --rotate90: without effect, --views 1 ")
    for options in ({}, {"views": 2}, {"views": 1, "fine_tune": "2"}):
        assert options_without_effect(with_options(augmented, **options), is_untrained=False) == []
    # From scratch, every epoch has views of its own: it is --views that has no effect.
    (line,) = options_without_effect(with_options(augmented, views=1), is_untrained=True)
    assert line.startswith("--views: without effect")


def test_initial_weights_matter_where_they_are_drawn() -> None:
    asked = with_options(PLAIN, init="gaussian")
    (line,) = options_without_effect(asked, is_untrained=False)
    assert line == "--init: without effect, a linear head starts at zero"
    for options, is_untrained in (({"head": "mlp"}, False), ({}, True), ({"cache": False}, False)):
        assert options_without_effect(with_options(asked, **options), is_untrained=is_untrained) == []


def test_one_line_names_all_of_a_kind() -> None:
    (line,) = options_without_effect(with_options(PLAIN, batch=8, ema=0.9), is_untrained=False)
    assert line.startswith("--batch, --ema: without effect, only heads are trained")


def test_the_names_are_fields() -> None:
    for panels in (
        module._FINE_TUNING,
        module._NETWORKS,
        module._FEATURES,
        module._SMALL_NETWORK,
        module._AUGMENTATION,
    ):
        for panel, names in panels.items():
            assert set(names) <= {field.name for field in fields(getattr(PLAIN, panel))}


@pytest.mark.parametrize("name", ["no_flip", "no_color"])
def test_what_is_forbidden_to_an_augmentation_has_no_effect_without_one(name: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    (line,) = options_without_effect(with_options(PLAIN, **{name: True}), is_untrained=False)
    assert line.startswith(f"{flag}: without effect") and "--augment" in line
    assert options_without_effect(with_options(PLAIN, augment="light", **{name: True}), is_untrained=False) == []
