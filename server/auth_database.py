"""`auth.db`: the accounts and the sessions, in an SQLite file of their own.

Apart from the event log, which belongs to one gateway alone: `python -m server.accounts` changes
accounts while a gateway runs.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS sessions (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        expires INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS sessions_by_account ON sessions (account);
    CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires);
    CREATE TABLE IF NOT EXISTS refresh_tokens (
        hash BLOB PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        used INTEGER NOT NULL DEFAULT 0,
        expires INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS refresh_tokens_by_session ON refresh_tokens (session);
    CREATE INDEX IF NOT EXISTS refresh_tokens_by_expiry ON refresh_tokens (expires);
"""

#: Seconds to wait for another process that writes. It is the event loop that waits.
_BUSY_TIMEOUT = 1


class AuthDatabaseError(Exception):
    """The database cannot be opened, read or written; the message says why in one line."""


class AuthDatabase:
    """One connection to the file. Every method raises `AuthDatabaseError`."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, made if missing, for its owner's eyes only."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm files the rights of the database.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT)
        except (OSError, sqlite3.Error) as error:
            raise AuthDatabaseError(_reason(error)) from error
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            # A power cut must not bring a used token, or a closed session, back to life.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise AuthDatabaseError(_reason(error)) from error

    def query(self, statement: str, *parameters: str | int | bytes) -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows."""
        try:
            return self._db.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise AuthDatabaseError(_reason(error)) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that is done inside happen, or none of it, and nothing else meanwhile."""
        self.query("BEGIN IMMEDIATE")
        try:
            yield
            self.query("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.rollback()
            raise

    def version(self) -> int:
        """Return a number that changes when another process has changed the file."""
        return int(self.query("PRAGMA data_version")[0][0])

    def close(self) -> None:
        """Release the file."""
        self._db.close()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
