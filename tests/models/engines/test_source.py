"""A base is traced and frozen once, however many engines ask for it."""

from __future__ import annotations

import keras
import pytest

from models.engines import graph
from models.engines.source import TracedBase
from tests.models.engines.tiny import SIDE, pictures, plain, relative_difference, small


def test_a_base_is_traced_and_frozen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trace, shapes = graph.trace, []

    def counted(model: keras.Model, shape: tuple[int, int, int, int]) -> graph.Traced:
        shapes.append(shape)
        return trace(model, shape)

    monkeypatch.setattr(graph, "trace", counted)
    model = small()
    source = TracedBase(model, (4, SIDE, SIDE, 3))
    assert shapes == []
    assert source.graph is source.graph
    assert source.traced is source.traced
    assert shapes == [(4, SIDE, SIDE, 3)]
    features = source.traced(pictures(4)).numpy()
    assert relative_difference(features, plain(model, pictures(4))) < 1e-5
