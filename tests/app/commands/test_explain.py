"""`headstart explain`: methods, class and layer reach the verb; the paths of the pictures go to stdout."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.explain import ExplainRequest, Explanations
from tests.app.commands.conftest import Stub
from tests.app.test_main import Headstart

VERB = "pipelines.explain.explain"
WRITTEN = Explanations(
    folder=Path("out"),
    records=({"path": "a.png"}, {"path": "b.png"}),
    panels=(Path("out/0001-a.hirescam.png"), Path("out/0002-b.hirescam.png")),
    grid=Path("out/explanations.png"),
    unreadable=(),
    others=0,
)


def test_hirescam_of_the_predicted_class_is_the_default(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, WRITTEN)
    result = headstart("explain", "run", "a.png", "b.png", "--out", "out")
    assert calls[0].values == ("run", ["a.png", "b.png"], "out", ExplainRequest(methods=("hirescam",)))
    assert (result.code, result.out) == (0, "out/0001-a.hirescam.png\nout/0002-b.hirescam.png\n")
    assert "out/explanations.png" in result.err


def test_options_reach_the_verb(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, WRITTEN)
    arguments = ("--method", "gradient", "--method", "grad-cam", "--method", "gradient", "--class", "cat")
    result = headstart("explain", "run", "a.png", "--out", "out", *arguments, "--layer", "conv1", "--json")
    request = ExplainRequest(methods=("gradient", "grad-cam"), class_name="cat", layer="conv1")
    assert calls[0].values[-1] == request
    assert json.loads(result.out) == {
        "out": "out",
        "pictures": [{"path": "a.png"}, {"path": "b.png"}],
        "unreadable": [],
    }


def test_unreadable_inputs_are_named_and_exit_with_1(headstart: Headstart, stub: Stub) -> None:
    unreadable = tuple((f"{number}.png", "damaged") for number in range(7))
    stub(VERB, Explanations(folder=Path("o"), records=({},), panels=(), grid=None, unreadable=unreadable, others=2))
    result = headstart("explain", "run", "a", "--out", "o")
    assert result.code == 1
    assert "warning: `0.png` is not explained: damaged" in result.err and "2 more inputs" in result.err
    assert "`5.png`" not in result.err and "2 files in the folders are not images" in result.err


def test_out_is_required(headstart: Headstart, stub: Stub) -> None:
    calls = stub(VERB, WRITTEN)
    assert headstart("explain", "run", "a.png").code == 2
    assert not calls
