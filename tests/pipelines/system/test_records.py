"""Plain data becomes a record strictly, and an error names the key that does not fit."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from pipelines.system.records import DamagedRecord, as_record, read_plain, require_finite


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
        ({"parts": {"test": {"accuracy": "0.5"}}}, "parts.test.accuracy"),
        ({"parts": {"test": {"accuracy": 1.5}}}, "parts.test.accuracy"),
        ({"parts": {"test": {"accuracy": True}}}, "parts.test.accuracy"),
        ({"parts": {"test": {"accuracy": 1, "count": 1.5}}}, "parts.test.count"),
        ({"parts": {"train": {"accuracy": 1}, "test": {"accuracy": "1"}}}, "parts.test.accuracy"),
        ({"parts": {"test": []}}, "parts.test"),
        ({"parts": {"caf\udce9\n": []}}, r"parts.caf\xe9\n"),
        ({"parts": {"test": {}}}, "parts.test.accuracy"),
        ({"parts": []}, "parts"),
        ({"sizes": [1, "2"]}, "sizes[1]"),
        ({"seed": "1"}, "seed"),
        ({"is_done": 1}, "is_done"),
    ],
)
def test_the_key_that_does_not_fit_is_named(change: dict[str, object], key: str) -> None:
    with pytest.raises(DamagedRecord) as caught:
        as_record({**PLAIN, **change}, Run)
    assert str(caught.value).startswith(f"`{key}`: ")
    assert "$" not in str(caught.value)


@pytest.mark.parametrize("values", [None, [], "text", 1, {}])
def test_data_without_the_required_keys_is_refused(values: object) -> None:
    with pytest.raises(DamagedRecord):
        as_record(values, Run)


def test_a_key_that_is_missing_is_named_and_a_key_of_no_use_is_ignored() -> None:
    with pytest.raises(DamagedRecord, match=r"^`kind`: missing$"):
        as_record({"name": "a", "parts": {}}, Run)
    assert as_record({**PLAIN, "colour": "red"}, Run) == Run(name="a", kind="one", parts={})


def test_keys_of_nested_dicts_are_named() -> None:
    counts = {"train": {"cat": 1, "dog": 2}, "test": {"cat": 1, "dog": "2"}}
    with pytest.raises(DamagedRecord, match=r"^`test.dog`: expected `int`, got `str`$"):
        as_record(counts, dict[str, dict[str, int]])
    with pytest.raises(DamagedRecord, match=r"^`a`: invalid enum value 'b'$"):
        as_record({"a": {"b": 1}}, dict[str, dict[Literal["c"], int]])


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (math.nan, ""),
        ({"a": math.inf}, "`a`: "),
        ({"a": [1, {"b": -math.inf}]}, "`a[1].b`: "),
        (json.loads('{"a": 1e999}'), "`a`: "),
    ],
)
def test_a_number_that_is_not_finite_is_refused_with_its_key(values: object, key: str) -> None:
    with pytest.raises(DamagedRecord) as caught:
        require_finite(values)
    assert str(caught.value) == f"{key}expected a finite number"


def test_finite_numbers_are_accepted() -> None:
    require_finite({"a": [1, 2.5, None, True, "nan", {"b": -1e308}]})


def test_a_key_that_is_not_utf8_is_damage() -> None:
    with pytest.raises(DamagedRecord, match="a key is not UTF-8"):
        as_record({**PLAIN, "\udcff": 1}, Run)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON: "),
        (b'{"a": 1', "not JSON: "),
        (b"\xff{}", "not JSON: "),
        (b"[" * 100_000, "it nests too deeply"),
        (b"9" * 5000, "not JSON: "),
        (b'{"a": [NaN]}', r"`a\[0\]`: expected a finite number"),
        (b'{"a": 1e999}', "`a`: expected a finite number"),
    ],
)
def test_a_file_that_is_not_plain_data_is_damage(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(DamagedRecord, match=words):
        read_plain(tmp_path / "file.json")


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    values = {"name": "caf\u00e9 \udcff", "numbers": [1, 0.5, None, True], "inner": {"a": "b"}}
    (tmp_path / "file.json").write_text(json.dumps(values))
    assert read_plain(tmp_path / "file.json") == values
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "nothing.json")
