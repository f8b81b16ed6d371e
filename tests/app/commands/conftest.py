"""What the tests of commands share: verbs that record how they are called, and do no work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a verb."""

    values: tuple[Any, ...]  # arguments of any verb
    options: dict[str, Any]


Stub = Callable[[str, object], list[Call]]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """`stub("pipelines.evaluate.evaluate", result)`: replace a verb; it returns or raises `result`.

    The list of its calls is empty at first. The reporter is checked and left out of the options.
    """

    def replace(verb: str, result: object) -> list[Call]:
        calls: list[Call] = []

        def called(*values: object, **options: object) -> object:
            if "reporter" in options:
                assert hasattr(options.pop("reporter"), "task")
            calls.append(Call(values, options))
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(verb, called)
        return calls

    return replace
