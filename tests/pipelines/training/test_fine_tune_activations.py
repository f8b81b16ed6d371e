"""Fine-tuning on cached activations: they are those of the whole network, computed once, within a budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluation.predictions import predict_batches
from pipelines.training.cut import cut_below
from pipelines.training.fine_tune import fine_tune
from tests.pipelines.training.prepared import Prepare, notes_of


def test_cached_activations_give_the_loss_curve_of_the_whole_network(prepared: Prepare) -> None:
    curves = []
    for cache in (True, False):
        plan, frozen = prepared(fine_tune="2", cache=cache, epochs=4, learning_rate=0.03)
        tuned = fine_tune(plan, frozen)
        curves.append([(record.loss, record.validation_loss) for record in tuned.history])
        notes = " ".join(notes_of(plan))
        assert ("activations at `block1`" in notes) is cache
    assert len(curves[0]) == 4
    assert curves[0][0][1] != pytest.approx(curves[0][-1][1], rel=0.05), "a flat curve proves nothing"
    np.testing.assert_allclose(curves[0], curves[1], rtol=0.01, atol=1e-5)


def test_activations_are_computed_once_for_all_trainings(prepared: Prepare) -> None:
    for turn, words in enumerate(("0 cached, 42 new", "42 cached, 0 new")):
        plan, frozen = prepared(fine_tune="1", learning_rate=0.01 * (turn + 1), epochs=1)
        fine_tune(plan, frozen)
        assert any(words in line for line in notes_of(plan)), notes_of(plan)


def test_views_are_cached_as_the_policy_asks(prepared: Prepare) -> None:
    plan, frozen = prepared(augment="light", views=3, epochs=1)
    fine_tune(plan, frozen)
    assert any(f"{30 * 3 + 12} new" in line for line in notes_of(plan)), notes_of(plan)


def test_activations_that_do_not_fit_the_budget_are_streamed_with_a_note(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADSTART_BOUNDARY_LIMIT", "0.0001")
    plan, frozen = prepared(epochs=1)
    tuned = fine_tune(plan, frozen)
    assert any("more than the 100.0 kB kept for them" in line for line in notes_of(plan)), notes_of(plan)
    assert not list((tmp_path / "cache" / "boundaries").rglob("*.npy"))
    assert len(tuned.history) == 1


def test_a_trunk_and_a_top_together_predict_as_the_whole(prepared: Prepare) -> None:
    plan, frozen = prepared(name="mobilenet_v2", fine_tune="3")
    cut = cut_below(plan, frozen.model, "3")
    assert cut.lower is not None
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    whole, _ = predict_batches(frozen.model, [(pixels, np.zeros(2))])
    np.testing.assert_allclose(cut.top(cut.lower(pixels, training=False), training=False), whole, atol=1e-5)
