from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.clock import now
from server.event_log import AlreadyAppliedError, EventLogError, SQLiteEventLog
from tests.support.gateway import ROOT

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "events.db"


@pytest.fixture
def log(path: Path) -> Iterator[SQLiteEventLog]:
    log = SQLiteEventLog(path, horizon=100, origin=0)
    yield log
    log.close()


async def test_an_event_carries_its_id(log: SQLiteEventLog) -> None:
    before = now()
    event = await log.append("notification", {"title": "é\u2028\0</script>"})
    assert (event.id, event.type) == (1, "notification")
    assert event.payload == {"id": "1", "title": "é\u2028\0</script>"}
    assert before <= event.timestamp <= now()
    assert await log.after("notification", 0, limit=10) == [event]


async def test_types_share_the_ids_and_nothing_else(log: SQLiteEventLog) -> None:
    for kind in ("a", "b", "a", "b", "a"):
        await log.append(kind, {})
    assert [e.id for e in await log.after("a", 0, limit=10)] == [1, 3, 5]
    assert [e.id for e in await log.after("a", 1, limit=1)] == [3]
    assert [e.id for e in await log.latest("b", limit=10)] == [4, 2]
    assert [e.id for e in await log.latest("b", limit=1)] == [4]
    assert await log.last_id() == 5


async def test_an_empty_log(log: SQLiteEventLog) -> None:
    assert await log.last_id() == 0
    assert await log.oldest_position("a") == 0
    assert await log.after("a", 0, limit=10) == await log.latest("a", limit=10) == []


async def test_beyond_the_horizon_events_go(log: SQLiteEventLog) -> None:
    rare = await log.append("rare", {})
    for _ in range(150):
        await log.append("often", {})
    kept = await log.after("often", 0, limit=1000)
    assert 100 <= len(kept) <= 101
    assert await log.oldest_position("often") == kept[0].id - 1
    assert await log.latest("rare", limit=1) == [rare]
    assert await log.oldest_position("rare") == 0


async def test_ids_go_on_after_a_restart_even_of_a_pruned_log(path: Path) -> None:
    log = SQLiteEventLog(path, horizon=1, origin=0)
    for _ in range(10):
        await log.append("a", {})
    log.close()
    log = SQLiteEventLog(path, horizon=1)
    try:
        assert await log.last_id() == 10
        assert (await log.append("a", {})).id == 11
    finally:
        log.close()


def test_ids_go_on_after_kill_9(path: Path) -> None:
    """The process dies while it appends; every id that it got to tell is in the log."""
    source = f"""\
import asyncio, pathlib
from server.event_log import SQLiteEventLog
async def main():
    log = SQLiteEventLog(pathlib.Path({str(path)!r}), horizon=100_000, origin=0)
    while True:
        print((await log.append("a", {{"text": "x" * 100}})).id, flush=True)
asyncio.run(main())
"""
    last = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(500)]
            process.kill()
            told += [int(line) for line in process.stdout if line.endswith("\n")]
        assert told == list(range(last + 1, last + 1 + len(told)))
        log = SQLiteEventLog(path, horizon=100_000)
        last = asyncio.run(log.last_id())
        stored = [event.id for event in asyncio.run(log.after("a", 0, limit=1_000_000))]
        log.close()
        assert stored == list(range(1, last + 1))
        assert last >= told[-1]


@pytest.mark.parametrize("blocker", ["file", "garbage", "folder"])
def test_a_log_that_cannot_be_opened(tmp_path: Path, blocker: str) -> None:
    path = tmp_path / "data" / "events.db"
    match blocker:
        case "file":
            path.parent.write_text("")
        case "garbage":
            path.parent.mkdir()
            path.write_text("no database" * 1000)
        case "folder":
            path.mkdir(parents=True)
    with pytest.raises(EventLogError) as caught:
        SQLiteEventLog(path, horizon=100)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_log_that_fails_later(log: SQLiteEventLog) -> None:
    log._db.execute("DROP TABLE events")
    with pytest.raises(EventLogError, match="no such table"):
        await log.append("a", {})


async def test_a_new_log_begins_where_no_older_one_can_have_come(path: Path) -> None:
    before = now()
    log = SQLiteEventLog(path, horizon=100)
    origin = await log.origin()
    assert before * 1000 <= origin <= (now() + 1) * 1000
    assert await log.last_id() == origin
    assert (await log.append("a", {})).id == origin + 1
    assert len(str(origin)) <= 18
    assert origin < 2**53
    log.close()
    log = SQLiteEventLog(path, horizon=100)
    assert await log.origin() == origin
    assert await log.last_id() == origin + 1
    log.close()


async def test_a_log_from_before_there_were_origins_goes_on(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.executescript(
        """CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL,
        payload TEXT NOT NULL, timestamp INTEGER NOT NULL);
        INSERT INTO events (type, payload, timestamp) VALUES ('a', '{}', 1), ('a', '{}', 2)"""
    )
    database.close()
    log = SQLiteEventLog(path, horizon=100)
    assert await log.origin() == 0
    assert (await log.append("a", {}, key="k")).id == 3
    assert [e.id for e in await log.after("a", 0, limit=10)] == [1, 2, 3]
    log.close()


async def test_a_key_is_applied_once(log: SQLiteEventLog, path: Path) -> None:
    first = await log.append("a", {"n": 1}, key="k")
    other = await log.append("a", {"n": 1}, key="K")
    for kind in ("a", "b"):
        with pytest.raises(AlreadyAppliedError) as caught:
            await log.append(kind, {"n": 2}, key="k")
        assert caught.value.event_id == first.id
    log.close()
    again = SQLiteEventLog(path, horizon=100)
    with pytest.raises(AlreadyAppliedError):
        await again.append("a", {}, key="k")
    assert await again.after("a", 0, limit=10) == [first, other]
    assert (await again.append("a", {})).id == other.id + 1
    again.close()


async def test_the_newest_keys_are_kept(path: Path) -> None:
    log = SQLiteEventLog(path, horizon=100, applied_horizon=200)
    for n in range(500):
        await log.append("a", {}, key=str(n))
    log.close()
    log = SQLiteEventLog(path, horizon=100, applied_horizon=200)
    for n in range(300, 500):
        with pytest.raises(AlreadyAppliedError):
            await log.append("a", {}, key=str(n))
    ((count,),) = log._query("SELECT count(*) FROM applied")
    assert 200 <= count <= 202
    await log.append("a", {}, key="0")
    log.close()


async def test_an_append_that_fails_leaves_neither_event_nor_key(log: SQLiteEventLog) -> None:
    log._db.execute("ALTER TABLE applied RENAME TO elsewhere")
    with pytest.raises(EventLogError, match="no such table"):
        await log.append("a", {}, key="k")
    log._db.execute("ALTER TABLE elsewhere RENAME TO applied")
    log._db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON applied BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(EventLogError, match="full"):
        await log.append("a", {}, key="k")
    log._db.execute("DROP TRIGGER full")
    assert await log.after("a", 0, limit=10) == []
    event = await log.append("a", {}, key="k")
    assert await log.after("a", 0, limit=10) == [event]


def test_kill_9_leaves_event_and_key_or_neither(path: Path) -> None:
    source = f"""\
import asyncio, pathlib
from server.event_log import SQLiteEventLog
async def main():
    log = SQLiteEventLog(pathlib.Path({str(path)!r}), horizon=100_000)
    n = 0
    while True:
        n += 1
        await log.append("a", {{"n": n}}, key=str(n))
        print(n, flush=True)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(500)]
        process.kill()
        told += [int(line) for line in process.stdout if line.endswith("\n")]
    log = SQLiteEventLog(path, horizon=100_000)
    events = asyncio.run(log.after("a", 0, limit=1_000_000))
    keys = dict(log._query("SELECT event, key FROM applied"))
    log.close()
    assert keys == {event.id: str(event.payload["n"]) for event in events}
    assert [event.payload["n"] for event in events][: len(told)] == told
