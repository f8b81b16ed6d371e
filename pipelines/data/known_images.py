"""Remembers, by content hash, which images decode, and their fingerprints (SQLite in the cache folder)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.images.fingerprint import LENGTH
from pipelines.system.cache import cache_error, cache_folder, writing_to_cache
from pipelines.system.cache_users import use_cache

# The names on disk (file, table, column `judge`) are those of the first version: others would discard users' caches.
FILE = "ledger.sqlite"
# Fingerprints have a table of their own, so that older versions share the file; its number is raised whenever they
# change.
FINGERPRINTS = "fingerprints_1"
# Times that the file is opened where others delete it meanwhile; half a second in all.
ATTEMPTS = 6
# What SQLite says of a file that was deleted, or whose journal was, while it used it.
_DELETED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_TABLE = """
CREATE TABLE IF NOT EXISTS verdicts (
    sha256 BLOB NOT NULL, judge TEXT NOT NULL, reason TEXT, transcoded INTEGER NOT NULL,
    PRIMARY KEY (sha256, judge)
) WITHOUT ROWID
"""
_FINGERPRINT_TABLE = f"""
CREATE TABLE IF NOT EXISTS {FINGERPRINTS} (
    sha256 BLOB NOT NULL, judge TEXT NOT NULL, fingerprint BLOB NOT NULL, PRIMARY KEY (sha256, judge)
) WITHOUT ROWID
"""
_SELECT = f"""
SELECT reason, transcoded, fingerprint
FROM verdicts LEFT JOIN {FINGERPRINTS} USING (sha256, judge) WHERE sha256 = ? AND judge = ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeResult:
    """Whether an image decodes.

    Attributes:
        sha256: of its content, hexadecimal.
        reason: why it is not a readable image; None where it is one.
        transcoded: whether TensorFlow needs the lossless PNG of it in the cache.
        fingerprint: as `pipelines.images.fingerprint` gives it; None where it is not one, or was never taken.
    """

    sha256: str
    reason: str | None
    transcoded: bool
    fingerprint: bytes | None = None


class KnownImages:
    """The decode results of one decoder; several threads and processes may use the file at once.

    Attributes:
        is_rebuilt: whether the file was damaged, and is replaced by an empty one.
    """

    def __init__(self, path: Path, decoder: str) -> None:
        """Open the file, or create it where it is missing or damaged.

        Args:
            path: the database.
            decoder: as for `open_known_images`.

        Raises:
            UserError: the file cannot be written.
        """
        self.is_rebuilt = False
        self._path = path
        self._decoder = decoder
        self._lock = threading.Lock()
        self._inode = 0  # of the file, once it is open
        self._database = sqlite3.connect(":memory:", check_same_thread=False)  # until then
        try:
            self._open_again()
        except sqlite3.DatabaseError as error:
            self._rebuild(error)

    def get(self, sha256: str) -> DecodeResult | None:
        """The decode result of a content; None where it was not decoded yet.

        Raises:
            UserError: the database cannot be read, for another reason than damage.
        """
        with self._lock:
            try:
                row = self._database.execute(_SELECT, (bytes.fromhex(sha256), self._decoder)).fetchone()
            except sqlite3.DatabaseError as error:
                self._rebuild(error)
                return None
        if row is None:
            return None
        fingerprint = row[2] if isinstance(row[2], bytes) and len(row[2]) == LENGTH else None
        return DecodeResult(sha256=sha256, reason=row[0], transcoded=bool(row[1]), fingerprint=fingerprint)

    def add(self, results: Iterable[DecodeResult]) -> None:
        """Store decode results: all of them or, where the disk is full, none.

        Raises:
            UserError: the database cannot be written.
        """
        kept = list(results)
        if not kept:
            return
        with self._lock:
            try:
                self._insert(kept)
            except sqlite3.DatabaseError as error:
                self._rebuild(error)
                try:
                    self._insert(kept)
                except sqlite3.DatabaseError as second_error:
                    if not self._is_gone():
                        raise cache_error(self._path, second_error) from second_error
                    # Deleted twice within a moment: what is not remembered is decoded again.

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _open_again(self) -> None:
        """Open the file; where another process deletes it at that moment, the next one."""
        for attempt in range(ATTEMPTS):
            try:
                return self._open()
            except (sqlite3.OperationalError, FileNotFoundError) as error:
                if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF not in _DELETED:
                    raise
                if attempt + 1 == ATTEMPTS:
                    raise cache_error(self._path, error) from error
                time.sleep(0.01 * 2**attempt)

    def _open(self) -> None:
        with writing_to_cache():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        # The default rollback journal, not WAL: home folders lie on network file systems, where WAL's shared memory
        # does not work. Writes are few and large, so readers seldom wait. Every use is under the lock.
        database = sqlite3.connect(self._path, timeout=60.0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            database.execute(_FINGERPRINT_TABLE)
            # Reading a row detects a file whose header is intact and whose pages are not, or one with other columns.
            database.execute("SELECT sha256, judge, reason, transcoded FROM verdicts LIMIT 1").fetchone()
            database.execute(_SELECT, (b"", "")).fetchone()
            self._inode = self._path.stat().st_ino
        except BaseException:
            database.close()
            raise
        self._database.close()
        self._database = database

    def _insert(self, results: Sequence[DecodeResult]) -> None:
        keys = [(bytes.fromhex(result.sha256), self._decoder) for result in results]
        rows = [(*key, result.reason, int(result.transcoded)) for key, result in zip(keys, results, strict=True)]
        taken = [(*key, result.fingerprint) for key, result in zip(keys, results, strict=True) if result.fingerprint]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", rows)
            self._database.executemany(f"INSERT OR REPLACE INTO {FINGERPRINTS} VALUES (?, ?, ?)", taken)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _rebuild(self, error: sqlite3.DatabaseError) -> None:
        """Begin with an empty file if the old one is damaged, or deleted meanwhile: all of it can be computed again."""
        is_gone = self._is_gone()
        if not is_gone and not _is_damage(error):
            raise cache_error(self._path, error) from error
        if not is_gone:
            self.is_rebuilt = True
            self._database.close()
            with writing_to_cache():
                for path in (self._path, self._path.with_name(self._path.name + "-journal")):
                    path.unlink(missing_ok=True)
        try:
            self._open_again()
        except sqlite3.DatabaseError as second_error:
            raise cache_error(self._path, second_error) from second_error

    def _is_gone(self) -> bool:
        """Whether the file that was opened is not there any more, as after `headstart cache clear`."""
        try:
            return self._inode not in (0, self._path.stat().st_ino)
        except FileNotFoundError:
            return True


@contextmanager
def open_known_images(decoder: str) -> Iterator[KnownImages]:
    """Open the database in headstart's cache; it is rebuilt where its file is damaged.

    Args:
        decoder: names the versions of everything that decides whether an image decodes; the results of another
            decoder are ignored.

    Raises:
        UserError: the cache folder cannot be written.
    """
    use_cache()
    known_images = KnownImages(cache_folder() / FILE, decoder)
    try:
        yield known_images
    finally:
        known_images.close()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    # SQLITE_ERROR: a table with other columns, which another program made.
    return code is not None and (code & 0xFF) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
