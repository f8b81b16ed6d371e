"""`headstart preview`: the policy and sizes reach the verb; the path of the drawing goes to stdout."""

from __future__ import annotations

from pathlib import Path

from pipelines.images.policies import find_policy
from pipelines.images.policy import Switches
from pipelines.preview import Preview
from pipelines.runs.square import Square
from tests.app.commands.conftest import Call, Stub
from tests.app.test_main import Headstart

VERB = "pipelines.preview.preview"
DRAWING = Preview(path=Path("grid.png"), rows=6, classes=3)


def test_the_light_policy_is_drawn_by_default(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, DRAWING)
    result = headstart("preview", "photos", "--out", "grid.png")
    square = Square(size=160, fit="squash")
    options = {"policy": find_policy("light"), "square": square, "per_class": 2, "seed": 0}
    assert calls == [Call(("photos", "grid.png"), options)]
    assert (result.code, result.out) == (0, "grid.png\n")
    assert result.err == "6 images of 3 classes, the original on the left\n"


def test_options_reach_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, DRAWING)
    arguments = ("--augment", "strong", "--no-flip", "--rotate90", "--no-color", "--size", 64, "--per-class", 5)
    headstart("preview", "photos", "--out", "grid.png", *arguments, "--fit", "pad", "--seed", 7)
    policy = find_policy("strong", Switches(no_flip=True, rotate90=True, no_color=True))
    square = Square(size=64, fit="pad")
    assert calls == [Call(("photos", "grid.png"), {"policy": policy, "square": square, "per_class": 5, "seed": 7})]
    assert policy != find_policy("strong")


def test_an_unknown_policy_ends_before_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, DRAWING)
    result = headstart("preview", "photos", "--out", "grid.png", "--augment", "stronk")
    assert (result.code, result.out, calls) == (1, "", [])
    assert "`stronk`" in result.err and "`strong`" in result.err
