"""A relay sends what it is given, in order; advances are summed up and none is lost."""

from __future__ import annotations

import io
import threading
import time

import pytest

from pipelines.system.messages import (
    DetailLine,
    Event,
    Message,
    NoteLine,
    TaskAdvance,
    TaskEnd,
    TaskLine,
    TaskStart,
    WarningLine,
    read_message,
)
from pipelines.system.relay import ProgressRelay


def sent(stream: io.StringIO) -> list[Message | Event]:
    return [read_message(line) for line in stream.getvalue().splitlines()]


def test_messages_are_sent_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    stream = io.StringIO()
    relay = ProgressRelay(stream)
    relay.note("a note")
    relay.detail("a detail")
    relay.warn("a warning")
    with relay.task("first", None) as first, relay.task("second", 2) as second:
        second.advance(2, loss="0.5")
        first.line("a line", passing=True)
    relay.send(done="one", hint="\udcff\n")
    assert sent(stream) == [
        NoteLine("a note"),
        DetailLine("a detail"),
        WarningLine("a warning"),
        TaskStart(1, "first", None),
        TaskStart(2, "second", 2),
        TaskAdvance(2, 2, {"loss": "0.5"}),
        TaskLine(1, "a line", True),
        TaskEnd(2),
        TaskEnd(1),
        {"done": "one", "hint": "\udcff\n"},
    ]


def test_advances_within_a_moment_are_one_message_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with ProgressRelay(stream).task("counting", 100) as task:
        for number in range(100):
            now[0] = 1000.0 + number * 0.01
            task.advance(1, loss=str(number))
    advances = [message for message in sent(stream) if isinstance(message, TaskAdvance)]
    assert 10 <= len(advances) <= 12
    assert sum(advance.count for advance in advances) == 100
    assert advances[-1].fields == {"loss": "99"}


def test_a_task_ends_and_its_advances_arrive_when_it_raises() -> None:
    stream = io.StringIO()
    relay = ProgressRelay(stream)
    with pytest.raises(KeyboardInterrupt), relay.task("counting", 3) as task:
        task.advance(1)
        task.advance(1)
        raise KeyboardInterrupt
    counts = [message.count for message in sent(stream) if isinstance(message, TaskAdvance)]
    assert sum(counts) == 2
    assert sent(stream)[-1] == TaskEnd(1)


def test_lines_can_be_left_out() -> None:
    stream = io.StringIO()
    relay = ProgressRelay(stream)
    relay.lines = False
    with relay.task("counting", None) as task:
        task.line("epoch 1")
    assert not any(isinstance(message, TaskLine) for message in sent(stream))


class SlowStream(io.StringIO):
    """Writes in two pieces, and lets other threads run in between."""

    def write(self, text: str) -> int:
        half = len(text) // 2
        super().write(text[:half])
        time.sleep(1e-5)
        return half + super().write(text[half:])


def test_lines_of_several_threads_stay_whole() -> None:
    stream = SlowStream()
    relay = ProgressRelay(stream)

    def send(name: str) -> None:
        for _ in range(50):
            relay.note(name * 500)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = sent(stream)
    assert len(messages) == 200
    assert {message.text for message in messages if isinstance(message, NoteLine)} == {name * 500 for name in "abcd"}
