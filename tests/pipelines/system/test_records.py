"""Plain data becomes a record strictly, and an error names the key that does not fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from pipelines.system.records import DamagedRecord, as_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    accuracy: Annotated[float, Meta(ge=0, le=1)]
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    name: str
    kind: Literal["one", "many"]
    parts: dict[str, Score]
    sizes: tuple[int, ...] = ()
    seed: int | None = None
    is_done: bool = False


RUN = Run(name="caf\u00e9 \udcff", kind="many", parts={"test": Score(accuracy=0.5)}, sizes=(1, 2))
PLAIN: dict[str, Any] = {"name": "a", "kind": "one", "parts": {}}  # Any: plain data of every shape


def test_a_record_comes_back_from_json_as_it_was() -> None:
    assert as_record(json.loads(json.dumps(asdict(RUN))), Run) == RUN


def test_defaults_fill_what_is_missing() -> None:
    assert as_record(PLAIN, Run) == Run(name="a", kind="one", parts={})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"kind": "two"}, "kind"),
        ({"parts": {"test": {"accuracy": "0.5"}}}, "parts[...].accuracy"),
        ({"parts": {"test": {"accuracy": 1.5}}}, "parts[...].accuracy"),
        ({"parts": {"test": {"accuracy": True}}}, "parts[...].accuracy"),
        ({"parts": {"test": {"accuracy": 1, "count": 1.5}}}, "parts[...].count"),
        ({"parts": []}, "parts"),
        ({"sizes": [1, "2"]}, "sizes[1]"),
        ({"seed": "1"}, "seed"),
        ({"is_done": 1}, "is_done"),
    ],
)
def test_the_key_that_does_not_fit_is_named(change: dict[str, object], key: str) -> None:
    with pytest.raises(DamagedRecord, match=rf"^`{key.replace('[', '.').replace(']', '.')}`: ") as caught:
        as_record({**PLAIN, **change}, Run)
    assert "$" not in str(caught.value)


@pytest.mark.parametrize("values", [None, [], "text", 1, {}])
def test_data_without_the_required_keys_is_refused(values: object) -> None:
    with pytest.raises(DamagedRecord):
        as_record(values, Run)
