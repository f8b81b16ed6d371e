"""Each message survives its line, whatever is in it; a line of another form is refused."""

from __future__ import annotations

import json

import pytest

from pipelines.system.messages import (
    MESSAGES,
    DetailLine,
    Event,
    Failure,
    Message,
    NoteLine,
    TaskAdvance,
    TaskEnd,
    TaskLine,
    TaskStart,
    WarningLine,
    read_message,
    write_message,
)
from pipelines.system.records import DamagedRecord

ODD = '\udcff caf\u00e9\n\u2028\r\x1b[31m"\\ \U0001f469'
EXAMPLES: list[Message | Event] = [
    NoteLine(ODD),
    DetailLine(ODD),
    WarningLine(ODD),
    TaskStart(1, ODD, None),
    TaskStart(2, "counting", 10),
    TaskAdvance(2, 3, {"loss": ODD}),
    TaskLine(2, ODD, True),
    TaskEnd(2),
    Failure(ODD, ODD, is_full_disk=True),
    {"done": ODD},
    {},
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_is_one_line_of_ascii_and_comes_back_as_it_was(message: Message | Event) -> None:
    line = write_message(message)
    assert line.isascii()
    assert line.splitlines(keepends=True) == [line]
    assert read_message(line) == message


def test_there_is_an_example_of_every_kind() -> None:
    assert {type(message) for message in EXAMPLES} == {*MESSAGES.values(), dict}


@pytest.mark.parametrize(
    "values",
    [{"kind": "note"}, {"kind": "note", "text": 1}, {"kind": "advance", "task": 1, "count": "1", "fields": {}}],
)
def test_a_line_of_another_form_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(DamagedRecord):
        read_message(json.dumps(values))
