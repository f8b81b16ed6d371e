"""Ends a command soon after Ctrl-C or SIGTERM, also while native code runs that Python cannot interrupt.

Both raise KeyboardInterrupt in the main thread, which unwinds what is open. Python does that between two of its own
instructions: a batch of a network, or the import of TensorFlow, may take seconds. Therefore a thread, which the signal
wakes at once, ends the process where it is still there after a moment. A kill at any time loses nothing: files are
written atomically, and what it leaves is swept by the next command.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

# Seconds that the main thread has to end by itself.
GRACE_SECONDS = 0.7
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LINE = "interrupted: the same command resumes"

_received: list[int] = []
_told: list[bool] = []


def end_on_signals() -> None:
    """Handle SIGINT and SIGTERM from now on; one that the parent had this process ignore stays ignored."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in EXIT_CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # A child that a library forks shares the pipe: a signal to it, written there, would end this process.
    os.register_at_fork(after_in_child=_leave_signals)
    threading.Thread(target=_end_after_grace, args=(read,), name="signals", daemon=True).start()


def is_interrupted() -> bool:
    """Whether a signal to end has come; an exception after it may be one that a library made of KeyboardInterrupt."""
    return bool(_received)


def exit_code() -> int:
    """130 after SIGINT, 143 after SIGTERM, as shells have it; call it when the user has been told."""
    _told.append(True)
    return EXIT_CODES[signal.Signals(_received[0])] if _received else EXIT_CODES[signal.SIGINT]


def delete_generated_sources() -> None:
    """Delete the files of the functions that TensorFlow's AutoGraph has rewritten in this process.

    It registers that with `atexit`, which `os._exit` skips. Each is a module of this process, by the name of its file.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("__autograph_generated_file"):
            with suppress(OSError):
                os.unlink(str(module.__file__))


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A second signal would interrupt what the first one unwinds; the thread ends that soon enough.
    if not _received:
        _received.append(number)
        raise KeyboardInterrupt


def _leave_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in EXIT_CODES:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _end_after_grace(read: int) -> None:
    """Wait for a signal, then for the end of the process, then end it."""
    while (number := os.read(read, 1)[0]) not in EXIT_CODES or signal.getsignal(number) is not _interrupt:
        continue
    time.sleep(GRACE_SECONDS)
    if not _told:
        # Not through `sys.stderr`: the main thread may hold its lock.
        erase = "\r\x1b[K" if os.isatty(sys.stderr.fileno()) else ""
        os.write(sys.stderr.fileno(), f"{erase}{LINE}\n".encode())
    delete_generated_sources()
    os._exit(EXIT_CODES[signal.Signals(_received[0] if _received else number)])
