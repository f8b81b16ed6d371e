"""Decode results by content: shared by processes, rebuilt when the file is damaged."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from pipelines.data.known_images import DecodeResult, KnownImages, open_known_images
from pipelines.system.cache_contents import clear_cache


def result(number: int, reason: str | None = None) -> DecodeResult:
    return DecodeResult(sha256=f"{number:064x}", reason=reason, transcoded=number % 2 == 1)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ledger.sqlite"


def test_results_are_kept_for_their_decoder_alone(path: Path) -> None:
    with open_known_images("one") as known_images:
        known_images.add([result(1), result(2, "damaged")])
        known_images.add([])
    with open_known_images("one") as known_images:
        assert known_images.get(result(1).sha256) == result(1)
        assert known_images.get(result(2).sha256) == result(2, "damaged")
        assert known_images.get(result(3).sha256) is None
    for decoder in ("two", "a"):
        with open_known_images(decoder) as known_images:
            assert known_images.get(result(1).sha256) is None


@pytest.mark.parametrize(
    "content",
    [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000, b"x"],
    ids=["text", "pages", "short"],
)
def test_a_damaged_file_is_rebuilt(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with open_known_images("one") as known_images:
        assert known_images.get(result(1).sha256) is None
        known_images.add([result(1)])
        assert known_images.get(result(1).sha256) == result(1)


def test_a_table_of_another_kind_is_rebuilt(path: Path) -> None:
    path.parent.mkdir(parents=True)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE verdicts (something TEXT)")
    database.commit()
    database.close()
    with open_known_images("one") as known_images:
        known_images.add([result(1)])
        assert known_images.get(result(1).sha256) == result(1)


def test_damage_in_the_middle_of_the_file_is_rebuilt(path: Path) -> None:
    with open_known_images("one") as known_images:
        known_images.add(result(number) for number in range(5000))
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with open_known_images("one") as known_images:
        assert known_images.get(result(4999).sha256) is None
        known_images.add([result(7)])
        assert known_images.get(result(7).sha256) == result(7)


def test_a_file_that_was_deleted_meanwhile_is_begun_anew(path: Path) -> None:
    """`headstart cache clear` while six trainings check their images."""
    with open_known_images("one") as first, open_known_images("one") as second:
        first.add([result(1)])
        clear_cache()
        assert not path.exists()
        first.add([result(2)])
        second.add([result(3)])
        shutil.rmtree(path.parent)
        second.add([result(4)])
    with open_known_images("one") as known_images:
        assert [known_images.get(result(number).sha256) is None for number in (1, 2, 3, 4)] == [True] * 3 + [False]


class Deleted(sqlite3.Connection):
    """A connection whose file another process deletes before its table is made, three times."""

    left = 3

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if "CREATE TABLE" in sql and Deleted.left:
            Deleted.left -= 1
            (_, _, file), *_ = super().execute("PRAGMA database_list").fetchall()
            Path(file).unlink()
        return super().execute(sql, *parameters)


def test_a_file_that_is_deleted_again_and_again_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `rm -rf`, or by an earlier version's `headstart cache clear`."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Deleted))
    with open_known_images("one") as known_images:
        assert Deleted.left == 0
        known_images.add([result(1)])
        assert known_images.get(result(1).sha256) == result(1)
        assert not known_images.is_rebuilt  # nothing was damaged


def test_a_file_that_stays_closed_to_us_is_an_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be written"), open_known_images("one"):
        pass


def _fill(path: Path, first: int) -> None:
    known_images = KnownImages(path, "one")
    for start in range(first, first + 200, 20):
        known_images.add(result(number) for number in range(start, start + 20))
    known_images.close()


def test_two_processes_write_at_once(path: Path) -> None:
    # Spawned, not forked: threads of other tests' TensorFlow may hold locks.
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_fill, args=(path, first)) for first in (0, 100, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    with open_known_images("one") as known_images:
        assert all(known_images.get(result(number).sha256) for number in [*range(300), *range(1000, 1200)])


def test_a_full_disk_keeps_what_was_there(path: Path) -> None:
    with open_known_images("one") as known_images:
        known_images.add([result(1)])
        known_images._database.execute("PRAGMA max_page_count = 3")  # what a full disk looks like to SQLite
        with pytest.raises(UserError, match=r"no space left on the disk: `.*`") as caught:
            known_images.add(result(number) for number in range(10_000))
        assert "HEADSTART_CACHE" in caught.value.hint
        assert known_images.get(result(1).sha256) == result(1)
        assert known_images.get(result(2).sha256) is None


def test_a_file_of_an_earlier_version_is_read(path: Path) -> None:
    # As the first version of headstart wrote it; its names are on the disks of users.
    path.parent.mkdir(parents=True)
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE verdicts (sha256 BLOB NOT NULL, judge TEXT NOT NULL, reason TEXT, transcoded INTEGER NOT NULL, "
        "PRIMARY KEY (sha256, judge)) WITHOUT ROWID"
    )
    database.execute("INSERT INTO verdicts VALUES (?, 'one', 'damaged', 0)", (bytes.fromhex(result(2).sha256),))
    database.execute("INSERT INTO verdicts VALUES (?, 'one', NULL, 1)", (bytes.fromhex(result(3).sha256),))
    database.commit()
    database.close()
    with open_known_images("one") as known_images:
        assert known_images.get(result(2).sha256) == result(2, "damaged")
        assert known_images.get(result(3).sha256) == result(3)


def test_fingerprints_are_kept_and_a_file_of_before_has_none(path: Path) -> None:
    taken = DecodeResult(sha256="ab" * 32, reason=None, transcoded=False, fingerprint=bytes(range(256)))
    with open_known_images("one") as known_images:
        known_images.add([taken, result(1)])
        assert known_images.get(taken.sha256) == taken
        assert known_images.get(result(1).sha256) == result(1)
    # Versions before read and write their table alone.
    database = sqlite3.connect(path)
    assert [name for (name,) in database.execute("SELECT name FROM sqlite_master ORDER BY name")] == [
        "fingerprints_1",
        "verdicts",
    ]
    database.execute("DROP TABLE fingerprints_1")
    database.commit()
    database.close()
    with open_known_images("one") as known_images:
        assert known_images.get(taken.sha256) == DecodeResult(sha256="ab" * 32, reason=None, transcoded=False)
        assert not known_images.is_rebuilt


def test_a_damaged_fingerprint_counts_as_none(path: Path) -> None:
    taken = DecodeResult(sha256="ab" * 32, reason=None, transcoded=False, fingerprint=bytes(range(256)))
    with open_known_images("one") as known_images:
        known_images.add([taken])
    database = sqlite3.connect(path)
    database.execute("UPDATE fingerprints_1 SET fingerprint = x'0102'")
    database.commit()
    database.close()
    with open_known_images("one") as known_images:
        known = known_images.get(taken.sha256)
    assert known is not None and known.fingerprint is None
