"""What is known of image contents that were decoded before: one small database in headstart's cache."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.system.cache import cache_error, cache_folder, writing_to_cache

_TABLE = """
CREATE TABLE IF NOT EXISTS verdicts (
    sha256 BLOB NOT NULL, judge TEXT NOT NULL, reason TEXT, transcoded INTEGER NOT NULL,
    PRIMARY KEY (sha256, judge)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeResult:
    """What decoding one content has shown.

    Attributes:
        sha256: of the content, hexadecimal.
        reason: why it is no readable image; None when it is one.
        transcoded: whether TensorFlow needs the lossless PNG of it in the cache.
    """

    sha256: str
    reason: str | None
    transcoded: bool


class KnownImages:
    """Verdicts by content, for one judge; safe with several threads and processes at once."""

    def __init__(self, path: Path, judge: str) -> None:
        """Open the file, or begin a new one when there is none or it is damaged."""
        self._path = path
        self._judge = judge
        self._lock = threading.Lock()
        with writing_to_cache():
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._mend(error)

    def _open(self) -> None:
        # The default rollback journal, not WAL: home folders lie on network file systems, where WAL's shared memory
        # does not work. Writes are few and large, so readers seldom wait. Every use is under the lock.
        self._database = sqlite3.connect(self._path, timeout=60.0, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_TABLE)
        # Reading a row finds a file whose header is whole and whose pages are not, or whose columns are others.
        self._database.execute("SELECT sha256, judge, reason, transcoded FROM verdicts LIMIT 1").fetchone()

    def _mend(self, error: sqlite3.DatabaseError) -> None:
        """Begin a new file if the error is damage: everything in it can be computed again."""
        if not _is_damage(error):
            raise cache_error(self._path, error) from error
        self._database.close()
        with writing_to_cache():
            for stray in (self._path, self._path.with_name(self._path.name + "-journal")):
                stray.unlink(missing_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as again:
            raise cache_error(self._path, again) from again

    def known(self, sha256: str) -> DecodeResult | None:
        """The verdict there is on a content, if any."""
        with self._lock:
            try:
                row = self._database.execute(
                    "SELECT reason, transcoded FROM verdicts WHERE sha256 = ? AND judge = ?",
                    (bytes.fromhex(sha256), self._judge),
                ).fetchone()
            except sqlite3.DatabaseError as error:
                self._mend(error)
                return None
        return DecodeResult(sha256=sha256, reason=row[0], transcoded=bool(row[1])) if row else None

    def record(self, verdicts: Iterable[DecodeResult]) -> None:
        """Keep verdicts: all of them or, when the disk is full, none.

        Raises:
            UserError: the database cannot be written.
        """
        rows = [(bytes.fromhex(each.sha256), self._judge, each.reason, int(each.transcoded)) for each in verdicts]
        if not rows:
            return
        with self._lock:
            try:
                self._write(rows)
            except sqlite3.DatabaseError as error:
                self._mend(error)
                self._write(rows)

    def _write(self, rows: list[tuple[bytes, str, str | None, int]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", rows)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


@contextmanager
def open_known_images(judge: str) -> Iterator[KnownImages]:
    """The ledger in headstart's cache; rebuilt when its file is damaged.

    Args:
        judge: names the versions of all that takes part in decoding; verdicts of another judge are not seen.

    Raises:
        UserError: the cache folder cannot be written to.
    """
    ledger = KnownImages(cache_folder() / "ledger.sqlite", judge)
    try:
        yield ledger
    finally:
        ledger.close()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    # A table with other columns, which something else made, is SQLITE_ERROR.
    return code is not None and (code & 0xFF) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
