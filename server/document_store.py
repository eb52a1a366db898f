"""The durable store of the documents' changes.

For each document, the updates that make it up, in the order in which they came, until they are
replaced by one that says the same. `DocumentStore` is what the gateway asks of a store;
`SQLiteDocumentStore` keeps it for one machine. Several would share one in Redis, a stream for each
document, squashed in a transaction (XRANGE, XADD, XTRIM).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class DocumentStoreError(Exception):
    """The store cannot be opened, read or written; the message says why in one line."""


class Stored(NamedTuple):
    """What there is of a document: nothing, if it was never written."""

    updates: list[bytes]
    #: Where the last of them stands.
    position: int


class DocumentStore(Protocol):
    """What the gateway needs of a store. Every method may raise `DocumentStoreError`."""

    async def load(self, document_id: str) -> Stored:
        """Return all updates of a document."""

    async def append(self, document_id: str, updates: Sequence[bytes]) -> int:
        """Store updates for good, all or none; return where the last of them stands."""

    async def squash(self, document_id: str, updates: Sequence[bytes], *, until: int) -> None:
        """Put `updates` in the place of all those up to the position `until`, all or none.

        Those that came later stay as they are.
        """

    def close(self) -> None:
        """Release the store."""


class SQLiteDocumentStore:
    """A `DocumentStore` in one SQLite file.

    Like `SQLiteEventLog` it calls SQLite on the event loop's own thread, in WAL mode with
    `synchronous=NORMAL`: what is committed survives the death of the process. Pages that a squash
    sets free are given back, so that the file stays near the size of what is in it.
    """

    _SCHEMA = """
        CREATE TABLE IF NOT EXISTS documents (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
        CREATE TABLE IF NOT EXISTS updates (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            document INTEGER NOT NULL REFERENCES documents,
            data BLOB NOT NULL
        );
        CREATE INDEX IF NOT EXISTS updates_by_document ON updates (document);
    """

    def __init__(self, path: Path) -> None:
        """Open the store at `path`, made if missing; raises `DocumentStoreError`.

        Nobody else may write to it: the event log, which is opened before, makes sure of that.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise DocumentStoreError(str(error)) from error
        try:
            # Before there is a table, or it has no effect.
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            # After a large transaction, the WAL need not stay as large.
            self._db.execute("PRAGMA journal_size_limit = 4194304")
            self._db.executescript(self._SCHEMA)
            # Opening a read-only file succeeds; only writing tells.
            with self._transaction():
                self._db.execute("PRAGMA user_version = 1")
        except sqlite3.Error as error:
            self._db.close()
            raise DocumentStoreError(str(error)) from error

    async def load(self, document_id: str) -> Stored:
        """Return all updates of a document."""
        with _errors():
            rows = self._db.execute(
                """SELECT position, data FROM updates
                WHERE document = (SELECT number FROM documents WHERE id = ?) ORDER BY position""",
                (document_id,),
            ).fetchall()
        return Stored([row[1] for row in rows], rows[-1][0] if rows else 0)

    async def append(self, document_id: str, updates: Sequence[bytes]) -> int:
        """Store updates for good, all or none; return where the last of them stands."""
        with _errors(), self._transaction():
            return self._insert(document_id, updates)

    async def squash(self, document_id: str, updates: Sequence[bytes], *, until: int) -> None:
        """Put `updates` in the place of all those up to the position `until`, all or none."""
        with _errors():
            with self._transaction():
                self._db.execute(
                    """DELETE FROM updates WHERE position <= ?
                    AND document = (SELECT number FROM documents WHERE id = ?)""",
                    (until, document_id),
                )
                self._insert(document_id, updates)
            # Not `execute`, which would set only the first page free.
            self._db.executescript("PRAGMA incremental_vacuum")

    def close(self) -> None:
        """Release the store."""
        self._db.close()

    def _insert(self, document_id: str, updates: Sequence[bytes]) -> int:
        number = self._number(document_id)
        position = 0
        for update in updates:
            cursor = self._db.execute(
                "INSERT INTO updates (document, data) VALUES (?, ?)", (number, update)
            )
            position = cursor.lastrowid or 0
        return position

    def _number(self, document_id: str) -> int:
        """Return a document's number, given when it is first written."""
        self._db.execute("INSERT OR IGNORE INTO documents (id) VALUES (?)", (document_id,))
        rows: list[Any] = self._db.execute(
            "SELECT number FROM documents WHERE id = ?", (document_id,)
        ).fetchall()
        return int(rows[0][0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make all that is done inside happen, or none of it."""
        with self._db:  # commits, or rolls back
            self._db.execute("BEGIN IMMEDIATE")
            yield


@contextmanager
def _errors() -> Iterator[None]:
    """Say it in the store's own words when SQLite fails."""
    try:
        yield
    except sqlite3.Error as error:
        raise DocumentStoreError(str(error)) from error
