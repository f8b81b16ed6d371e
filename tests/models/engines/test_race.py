"""Engines are tried while they can gain more than building them costs, and dropped where their features differ."""

from __future__ import annotations

from models.engines.compiled import compile_base
from tests.models.engines.fake import FakeEngine, Fakes
from tests.models.engines.tiny import pictures, small


def test_auto_drops_what_gives_other_features_or_fails(fake_engines: Fakes) -> None:
    fake_engines(
        wrong=FakeEngine(factor=1.03),
        broken=FakeEngine(fails=True),
        nothing=FakeEngine(factor=float("nan")),
        close=FakeEngine(factor=1.01),
    )

    base = compile_base(small(), pictures(2), batch=2)

    assert base.choice.engine == "close"
    assert any("wrong bfloat16, whose features differ by 3.0e-02" in line for line in base.lines)
    assert any("nothing bfloat16, whose features differ by nan" in line for line in base.lines)
    assert any(line.endswith("broken bfloat16 fails: no such operation: `Twirl`") for line in base.lines)
    assert 0.009 < base.choice.report.relative_difference["close/bfloat16"] < 0.011


def test_few_images_are_not_worth_building_an_engine_for(fake_engines: Fakes) -> None:
    fast = fake_engines(fast=FakeEngine(seconds=0.01))["fast"]

    few = compile_base(small(), pictures(2), batch=2, num_images=2)
    assert (few.choice.engine, fast.built) == ("keras", 0)
    assert any("not tried for 2 images: fast bfloat16" in line for line in few.lines)

    assert compile_base(small(), pictures(2), batch=2, num_images=100_000).choice.engine == "fast"


def test_a_precision_in_which_features_moved_far_is_not_tried_again(fake_engines: Fakes) -> None:
    fakes = fake_engines(far=FakeEngine(factor=1.1), second=FakeEngine(), near=FakeEngine(factor=1.03))

    base = compile_base(small(), pictures(2), batch=2)

    assert base.choice.engine == "keras"
    assert fakes["second"].built == fakes["near"].built == 0
    assert any("not tried: second bfloat16, in which the features moved" in line for line in base.lines)


def test_what_cannot_be_faster_is_not_built(fake_engines: Fakes) -> None:
    tame = fake_engines(fast=FakeEngine(seconds=0.01), tame=FakeEngine(hope=2.0))["tame"]

    assert compile_base(small(), pictures(2), batch=2).choice.engine == "fast"
    assert tame.built == 0


def test_of_engines_with_equal_hope_the_one_built_soonest_is_tried_first(fake_engines: Fakes) -> None:
    """What comes after it is then often decided: an engine that cannot be faster is not built."""
    fakes = fake_engines(slow_to_build=FakeEngine(hope=3.0, cost=2.0), soon=FakeEngine(hope=3.0, cost=1.5))

    base = compile_base(small(), pictures(2), batch=2)

    assert (base.choice.engine, fakes["slow_to_build"].built) == ("soon", 0)
