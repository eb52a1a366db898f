"""The durable, append-only log of everything the gateway has published.

The log is what makes a reconnection lossless: an id is a position in it, and a client that names
the last id it saw is sent everything after. `EventLog` is what the gateway asks of a log;
`SQLiteEventLog` keeps it for one machine. Several machines would share one in Redis Streams
(XADD, XRANGE, XREVRANGE), whose entry ids `<ms>-<n>` fit an integer as `ms << 20 | n`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from server.clock import now

logger = logging.getLogger(__name__)


class EventLogError(Exception):
    """The log cannot be opened, read or written; the message says why in one line."""


class AlreadyAppliedError(Exception):
    """There is an event with that key already; `event_id` is its id."""

    def __init__(self, event_id: int) -> None:
        super().__init__(f"already applied as event {event_id}")
        self.event_id = event_id


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log."""

    #: Increases from one event to the next, whatever their types; never used twice.
    id: int
    #: `notification`, `activity`, …
    type: str
    #: The JSON object published. It carries the event's id, as every client is shown it.
    payload: dict[str, Any]
    #: When it was appended, in milliseconds since the Unix epoch.
    timestamp: int


class EventLog(Protocol):
    """What the gateway needs of a log. Every method may raise `EventLogError`."""

    async def append(self, kind: str, payload: dict[str, Any], *, key: str | None = None) -> Event:
        """Store an event for good, and return it with its id.

        With a key, only once: raises `AlreadyAppliedError` if there is an event with that key.
        Event and key are stored together or not at all. The newest keys are remembered.
        """

    async def after(self, kind: str, position: int, *, limit: int) -> list[Event]:
        """Return at most `limit` events of type `kind` that follow `position`, oldest first."""

    async def latest(self, kind: str, *, limit: int) -> list[Event]:
        """Return the last `limit` events of type `kind`, newest first."""

    async def origin(self) -> int:
        """Return the position before the first event there ever was: all ids are above it."""

    async def last_id(self) -> int:
        """Return the highest id ever given, the origin before the first."""

    async def oldest_position(self, kind: str) -> int:
        """Return the lowest id after which every event of type `kind` is still there."""

    def close(self) -> None:
        """Release the log."""


class SQLiteEventLog:
    """An `EventLog` in one SQLite file.

    It calls SQLite on the event loop's own thread. In WAL mode with `synchronous=NORMAL` an append
    takes 16 µs (median; p99 55 µs, and 3–5 ms once in about a thousand, when SQLite moves its WAL
    into the database): less than handing it to a thread, and the order of events is then simply
    the order of the calls. Committed events survive the death of the process. A power cut may take
    the last moments with it, which `synchronous=FULL` would prevent for 0.2 ms or more per append.

    AUTOINCREMENT, unlike a plain rowid, never gives an id twice, even after its row is deleted
    (https://www.sqlite.org/autoinc.html).

    A new log begins at the microseconds since 1970. So one that replaces another gives higher ids
    than the other ever did, short of a million events a second, and an id that is not above the
    origin is known to be of another log. Until the year 2255 such ids are exact in JavaScript.

    The newest `horizon` events of each type are kept, and the newest `applied_horizon` keys, and
    somewhat more: older ones are deleted in small batches, so that no append has to wait for a
    large one.
    """

    _SCHEMA = """
        CREATE TABLE IF NOT EXISTS events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            type TEXT NOT NULL,
            payload TEXT NOT NULL,
            timestamp INTEGER NOT NULL
        );
        CREATE INDEX IF NOT EXISTS events_by_type ON events (type, id);
        CREATE TABLE IF NOT EXISTS pruned (type TEXT PRIMARY KEY, id INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS applied (event INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
        CREATE TABLE IF NOT EXISTS origin (position INTEGER NOT NULL);
    """

    def __init__(
        self,
        path: Path,
        *,
        horizon: int,
        applied_horizon: int = 100_000,
        origin: int | None = None,
    ) -> None:
        """Open the log at `path`, made if missing; raises `EventLogError`.

        `origin` is where a new log begins, instead of now.
        """
        self._horizon = horizon
        self._batch = max(1, horizon // 100)
        self._applied_horizon = applied_horizon
        self._applied_batch = max(1, min(100, applied_horizon // 100))
        self._appended: dict[str, int] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.with_suffix(".lock").open("w")
        except OSError as error:
            raise EventLogError(_reason(error)) from error
        try:
            # Another gateway's events would not reach our clients, but their ids would go on:
            # nobody would see the gap. The lock ends with the process, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._db = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            self._lock.close()
            taken = isinstance(error, BlockingIOError)
            reason = "another gateway uses it" if taken else _reason(error)
            raise EventLogError(reason) from error
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(self._SCHEMA)
            # Opening a read-only file succeeds; only writing tells.
            with self._transaction():
                self._origin = self._begin(time.time_ns() // 1000 if origin is None else origin)
            ((self._applied,),) = self._db.execute("SELECT count(*) FROM applied").fetchall()
        except sqlite3.Error as error:
            self.close()
            raise EventLogError(_reason(error)) from error

    async def append(self, kind: str, payload: dict[str, Any], *, key: str | None = None) -> Event:
        """Store an event for good, and return it with its id."""
        timestamp = now()
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if key is None:
            event_id = self._insert(kind, text, timestamp)
        else:
            event_id = self._insert_once(key, kind, text, timestamp)
            self._prune_applied()
        self._prune(kind)
        return _event(event_id, kind, payload, timestamp)

    async def after(self, kind: str, position: int, *, limit: int) -> list[Event]:
        """Return at most `limit` events of type `kind` that follow `position`, oldest first."""
        return self._events("type = ? AND id > ? ORDER BY id LIMIT ?", kind, position, limit)

    async def latest(self, kind: str, *, limit: int) -> list[Event]:
        """Return the last `limit` events of type `kind`, newest first."""
        return self._events("type = ? ORDER BY id DESC LIMIT ?", kind, limit)

    async def origin(self) -> int:
        """Return the position before the first event there ever was: all ids are above it."""
        return self._origin

    async def last_id(self) -> int:
        """Return the highest id ever given, the origin before the first."""
        rows = self._query("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0][0]) if rows else self._origin

    async def oldest_position(self, kind: str) -> int:
        """Return the lowest id after which every event of type `kind` is still there."""
        rows = self._query("SELECT id FROM pruned WHERE type = ?", kind)
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Release the log."""
        self._db.close()
        self._lock.close()

    def _begin(self, origin: int) -> int:
        """Return the log's origin; a log without any event or origin begins at `origin`."""
        rows = self._db.execute("SELECT position FROM origin").fetchall()
        if rows:
            return int(rows[0][0])
        if self._db.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'events'").fetchall():
            origin = 0  # made before logs had an origin
        else:
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (origin,))
        self._db.execute("INSERT INTO origin VALUES (?)", (origin,))
        return origin

    def _insert(self, kind: str, text: str, timestamp: int) -> int:
        rows = self._query(
            "INSERT INTO events (type, payload, timestamp) VALUES (?, ?, ?) RETURNING id",
            kind,
            text,
            timestamp,
        )
        return int(rows[0][0])

    def _insert_once(self, key: str, kind: str, text: str, timestamp: int) -> int:
        try:
            with self._transaction():
                rows = self._query("SELECT event FROM applied WHERE key = ?", key)
                if rows:
                    raise AlreadyAppliedError(int(rows[0][0]))
                event_id = self._insert(kind, text, timestamp)
                self._query("INSERT INTO applied (event, key) VALUES (?, ?)", event_id, key)
        except sqlite3.Error as error:
            raise EventLogError(_reason(error)) from error
        self._applied += 1
        return event_id

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make all that is done inside happen, or none of it."""
        with self._db:  # commits, or rolls back
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def _prune_applied(self) -> None:
        """Forget the oldest keys, once there is a batch of them too many."""
        if self._applied < self._applied_horizon + self._applied_batch:
            return
        try:
            deleted = self._db.execute(
                """DELETE FROM applied WHERE event IN
                (SELECT event FROM applied ORDER BY event LIMIT ?)""",
                (self._applied - self._applied_horizon,),
            )
            self._applied -= deleted.rowcount
        except sqlite3.Error as error:
            # The event itself is stored; the next append tries again.
            logger.warning("Cannot prune the applied ids: %s", _reason(error))

    def _prune(self, kind: str) -> None:
        """Delete what lies beyond the horizon, once a batch of it has gathered."""
        # The first append of a process prunes too: a process may end before its batch is full.
        appended = self._appended.get(kind, self._batch - 1) + 1
        self._appended[kind] = appended % self._batch
        if appended < self._batch:
            return
        try:
            with self._transaction():
                self._db.execute(
                    """INSERT OR REPLACE INTO pruned (type, id)
                    SELECT type, id FROM events WHERE type = ? ORDER BY id DESC LIMIT 1 OFFSET ?""",
                    (kind, self._horizon),
                )
                self._db.execute(
                    """DELETE FROM events WHERE type = ? AND id <=
                    (SELECT id FROM pruned WHERE pruned.type = events.type)""",
                    (kind,),
                )
        except sqlite3.Error as error:
            # The event itself is stored; the next batch tries again.
            logger.warning("Cannot prune the event log: %s", _reason(error))

    def _events(self, where: str, *parameters: str | int) -> list[Event]:
        rows = self._query(
            f"SELECT id, type, payload, timestamp FROM events WHERE {where}",  # noqa: S608
            *parameters,
        )
        return [_event(row[0], row[1], json.loads(row[2]), row[3]) for row in rows]

    def _query(self, statement: str, *parameters: str | int) -> list[Any]:
        try:
            return self._db.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise EventLogError(_reason(error)) from error


def _event(event_id: int, kind: str, payload: dict[str, Any], timestamp: int) -> Event:
    # The id is known only once the row is there, so it is not stored with the payload.
    return Event(event_id, kind, {"id": str(event_id), **payload}, timestamp)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
