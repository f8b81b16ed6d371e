"""The cache folder: where it is, its mark, and files that are complete or absent."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.system import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HEADSTART_CACHE": "/somewhere", "XDG_CACHE_HOME": "/elsewhere"}, "/somewhere"),
        ({"HEADSTART_CACHE": "~/kept"}, "/home/ann/kept"),
        ({"HEADSTART_CACHE": "", "XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/headstart"),
        ({}, "/home/ann/.cache/headstart"),
    ],
)
def test_the_folder_follows_the_environment(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEADSTART_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ann", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_folder() == Path(expected)


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_CACHE", "here")
    assert cache.cache_folder() == tmp_path / "here"
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("text", ["", "0", "-3", "lots", "nan", "inf"])
def test_a_limit_that_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", text)
    if not text:
        assert cache.cache_limit() == 20e9
        return
    with pytest.raises(UserError, match="HEADSTART_CACHE_LIMIT"):
        cache.cache_limit()


def test_a_file_is_whole_or_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folder / "deep" / "file"
    cache.write_cache_file(target, b"first")
    real = Path.write_bytes

    def full(partial: Path, content: bytes) -> int:
        real(partial, content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"no space left on the disk: `.*`"):
        cache.write_cache_file(target, b"second")
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert target.read_bytes() == b"first"


def test_an_error_names_the_folder_on_one_line_and_how_to_move_it(tmp_path: Path) -> None:
    error = cache.cache_error(tmp_path / "a\nb", OSError(errno.EROFS, "Read-only file system"))
    assert error.message == f"the cache `{tmp_path}/a\\nb` cannot be written: Read-only file system"
    assert "HEADSTART_CACHE" in error.hint


@pytest.mark.parametrize("variables", [{}, {"HEADSTART_CACHE": "~nobody-of-this-name/cache"}])
def test_a_home_that_is_not_known_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("HEADSTART_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.getuid", lambda: 987654321)  # no such user
    with pytest.raises(UserError, match="home folder that is not known") as caught:
        cache.cache_folder()
    assert "HEADSTART_CACHE" in caught.value.hint


def test_a_folder_that_headstart_makes_is_marked_and_another_is_not(folder: Path) -> None:
    cache.make_cache_folder()
    # https://bford.info/cachedir/: the first 43 bytes of the file.
    assert (folder / "CACHEDIR.TAG").read_bytes()[:43] == b"Signature: 8a477f597d28d172789f06886806bc55"
    (folder / "CACHEDIR.TAG").unlink()
    cache.make_cache_folder()
    assert list(folder.iterdir()) == []
