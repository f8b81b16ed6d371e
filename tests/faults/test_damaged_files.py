"""Whatever is wrong with a file that headstart reads, it is an error that names it, or made anew: 2,000 damaged files.

Nothing in a file is run, and nothing is written outside of the folder that it lies in.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import UserError
from tests.faults.readers import READERS

QUICK, SLOW = 5, 110  # damaged files of each kind; there are 19 kinds
# What a program that takes over a process would have to do; `open` is looked at more closely.
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "os.putenv")
WRITERS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "shutil.rmtree", "os.truncate")


class Guard:
    """Notes what a process does outside of a folder while it is on duty; audit hooks cannot be taken away."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.noted: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:  # whatever the event has
        if self.folder is None:
            return
        is_writing = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if event in FORBIDDEN:
            self.noted.append(f"{event} {arguments}")
        elif (is_writing or event in WRITERS) and isinstance(arguments[0], str | Path):
            # Files are deleted relative to an open folder, whose descriptor comes last.
            is_relative = event in WRITERS and arguments[-1:] > (0,) and not Path(arguments[0]).is_absolute()
            path = (Path(f"/proc/self/fd/{arguments[-1]}" if is_relative else ".") / arguments[0]).resolve()
            if not path.is_relative_to(self.folder) and path != Path("/dev/null"):
                self.noted.append(f"{event} {path}")

    @contextmanager
    def on_duty(self, folder: Path) -> Iterator[None]:
        self.noted.clear()
        self.folder = folder.resolve()
        try:
            yield
        finally:
            self.folder = None
        assert self.noted == []


GUARD = Guard()
sys.addaudithook(GUARD)


@contextmanager
def sandbox() -> Iterator[Path]:
    """A folder that has the cache and the temporary files too."""
    folder = Path(tempfile.mkdtemp(prefix="damaged-"))
    (folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setenv("HEADSTART_CACHE", str(folder / "cache"))
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        patch.setattr(sys, "dont_write_bytecode", True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def damage_and_read(name: str, data: st.DataObject) -> None:
    reader = READERS[name]
    with sandbox() as folder:
        (folder / "own").mkdir()
        path = reader.make(folder / "own")
        content = path.read_bytes()
        damage = data.draw(st.sampled_from(reader.damages), "damage")
        reader.finish(path, data.draw(damage(content), "content"))
        with GUARD.on_duty(folder):
            try:
                reader.read(path)
            except UserError as error:
                assert "\n" not in error.message + error.hint


def settings_of(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("name", READERS)
def test_a_whole_file_is_read(name: str) -> None:
    with sandbox() as folder:
        (folder / "own").mkdir()
        path = READERS[name].make(folder / "own")
        with GUARD.on_duty(folder):
            try:
                READERS[name].read(path)
            except UserError as error:  # a request is compared with that of the command
                assert "with other options" in error.message and "schema 1" in name


@pytest.mark.parametrize("name", READERS)
@settings_of(QUICK)
@given(data=st.data())
def test_a_damaged_file_is_an_error_or_made_anew(name: str, data: st.DataObject) -> None:
    damage_and_read(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@settings_of(SLOW)
@given(data=st.data())
def test_two_thousand_damaged_files_are_errors_or_made_anew(name: str, data: st.DataObject) -> None:
    damage_and_read(name, data)


def test_the_guard_sees_what_it_should(tmp_path: Path) -> None:
    for act in (lambda: (tmp_path.parent / "x").write_text("x"), lambda: (tmp_path.parent / "x").unlink()):
        with pytest.raises(AssertionError), GUARD.on_duty(tmp_path):
            act()
    with GUARD.on_duty(tmp_path):
        (tmp_path / "x").write_text("x")
