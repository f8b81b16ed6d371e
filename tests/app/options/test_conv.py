"""The layers of a small network on the command line: ranges, choices, and defaults that the help states."""

from __future__ import annotations

from typing import get_args

import pytest

from models import conv_network
from models.conv_network import ConvNetwork
from pipelines.runs import spec
from pipelines.runs.spec import ConvSpec, TrainSpec
from tests.app.options.conftest import Train, assert_range


@pytest.mark.parametrize(
    ("flag", "inside", "outside"), [("--kernel", (1, 64), (0, 65, "x")), ("--channels", (1, 3), (0, 2, 4, "grey"))]
)
def test_a_number_is_taken_up_to_the_edges_of_its_range(
    train: Train, flag: str, inside: tuple[int, ...], outside: tuple[object, ...]
) -> None:
    assert_range(train, flag, inside, outside, lambda asked: getattr(asked.conv, flag.removeprefix("--")))


def test_the_layers_are_handed_on(train: Train) -> None:
    asked = train("--backbone", "conv:10,20", "--activation", "tanh", "--dense", "120,84", "--momentum", 0.5)
    assert isinstance(asked, TrainSpec)
    assert asked.network.backbone == "conv:10,20"
    assert asked.conv == ConvSpec(activation="tanh", dense="120,84")
    assert asked.fit.momentum == 0.5
    assert get_args(spec.Activation) == get_args(conv_network.Activation)
    assert train("--activation", "step") is None


def test_the_page_states_the_defaults_of_the_network(page: str) -> None:
    default = ConvNetwork(filters=(1,))
    assert f"a 2 x 2 maximum follows each. [default: {default.kernel}; 1 to 64]" in page
    assert f"After each of its layers. [default: {default.activation}]" in page
    assert f"[default: {default.channels}]" in page
