"""services/live_dataset.py: rows that are loaded and rows that come, none lost, none twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.emitter import Emitter
from services.errors import ConnectionFailed, DatasetLost, InvalidFrame, WorkerError
from services.live_dataset import LiveDataset

pytestmark = pytest.mark.anyio


class FakeDataset:
    """Keeps rows; `hold` makes the next appends wait."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = list(rows)
        self.batches: list[int] = []
        self.released = False
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def __len__(self) -> int:
        return len(self.rows)

    async def aggregate(self, operation: str, field: str) -> Any:
        assert (operation, field) == ("max", "id")
        return max(row["id"] for row in self.rows)

    async def append(self, rows: list[dict[str, Any]]) -> int:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.rows += rows
        self.batches.append(len(rows))
        return len(self.rows)

    def release(self) -> None:
        self.released = True


class FakeWorkers:
    """Loads what the test says."""

    def __init__(self) -> None:
        self.answers: list[list[dict[str, Any]] | Exception] = []
        self.made: list[FakeDataset] = []
        self.asked: list[dict[str, Any]] = []

    async def load_url(self, url: str, **options: Any) -> FakeDataset:
        self.asked.append({"url": url, **options})
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.made.append(FakeDataset(answer))
        return self.made[-1]


class FakeEvents:
    """A stream as the server would tell it."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.emitter = Emitter(self.errors.append)
        self.after: list[str] = []
        self.is_connected = False
        self.handlers = 0

    def on(self, event: str, handler: Any) -> Any:
        self.handlers += 1
        unsubscribe = self.emitter.on(event, handler)

        def once() -> None:
            self.handlers -= 1
            unsubscribe()

        return once

    def start_after(self, position: str) -> None:
        self.after.append(position)

    def connect(self) -> None:
        self.is_connected = True

    def disconnect(self) -> None:
        self.is_connected = False

    def rows(self, *ids: int) -> None:
        self.emitter.emit("rows", {"rows": numbered(*ids)})


class Followed:
    """A live dataset and all around it."""

    def __init__(self, limit: int = 1000) -> None:
        self.workers = FakeWorkers()
        self.events = FakeEvents()
        self.changes = 0
        self.failures: list[Exception] = []
        self.reported: list[BaseException] = []
        self.live = LiveDataset(
            self.workers,  # type: ignore[arg-type]
            self.events,  # type: ignore[arg-type]
            "./rows",
            limit=limit,
            changed=self._changed,
            failed=self.failures.append,
            report=self.reported.append,
        )

    def _changed(self) -> None:
        self.changes += 1

    @property
    def ids(self) -> list[int]:
        return [row["id"] for row in self.workers.made[-1].rows]

    async def open(self, *ids: int) -> FakeDataset:
        self.workers.answers.append(numbered(*ids))
        await self.live.open()
        return self.workers.made[-1]


def numbered(*ids: int) -> list[dict[str, Any]]:
    return [{"id": number} for number in ids]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_follows_from_the_last_row_that_was_loaded():
    followed = Followed()
    await followed.open(0, 1, 2)
    assert followed.events.after == ["2"]
    assert followed.events.is_connected
    followed.events.rows(3, 4)
    await settle()
    assert followed.ids == [0, 1, 2, 3, 4]
    assert followed.changes == 1


async def test_follows_from_where_the_stream_is_when_nothing_was_loaded():
    followed = Followed()
    await followed.open()
    assert followed.events.after == []
    followed.events.rows(0)
    await settle()
    assert followed.ids == [0]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=12))
def test_told_twice_it_is_added_once(batches):
    async def run() -> None:
        followed = Followed()
        await followed.open(0, 1, 2)
        told = 2
        for start, length in batches:
            begin = min(start, told + 1)  # a replay begins anywhere before, never after a gap
            followed.events.rows(*range(begin, begin + length))
            told = max(told, begin + length - 1)
            if length % 2:
                await settle()
        await settle()
        assert followed.ids == list(range(told + 1))
        assert followed.reported == []

    asyncio.run(run())


async def test_what_comes_while_the_worker_is_busy_goes_at_once():
    followed = Followed()
    dataset = await followed.open(0)
    dataset.gate.clear()
    for number in range(1, 50):
        followed.events.rows(number)
        await settle()
    dataset.gate.set()
    await settle()
    assert followed.ids == list(range(50))
    assert dataset.batches == [1, 48]


async def test_no_more_waits_than_is_kept():
    followed = Followed(limit=10)
    dataset = await followed.open(0)
    followed.live.paused = True
    followed.events.rows(*range(1, 100))
    followed.live.paused = False
    await settle()
    assert dataset.batches == [10]
    assert followed.ids[-10:] == list(range(90, 100))


async def test_paused_rows_wait():
    followed = Followed()
    await followed.open(0)
    followed.live.paused = True
    followed.events.rows(1, 2)
    await settle()
    assert followed.ids == [0]
    followed.live.paused = False
    await settle()
    assert followed.ids == [0, 1, 2]


@pytest.mark.parametrize(
    "payload",
    [None, [], "text", {}, {"rows": 5}, {"rows": [5]}, {"rows": [{}]}, {"rows": [{"id": "1"}]},
     {"rows": [{"id": True}]}, {"rows": [{"id": 1.5}]}],
)  # fmt: skip
async def test_what_is_no_rows_is_reported_and_stops_nothing(payload):
    followed = Followed()
    await followed.open(0)
    followed.events.emitter.emit("rows", payload)
    followed.events.rows(1)
    await settle()
    assert followed.ids == [0, 1]
    (error,) = followed.events.errors
    assert isinstance(error, InvalidFrame)
    assert "expected" in str(error)


async def test_a_lost_worker_is_told_once_and_closes():
    followed = Followed()
    dataset = await followed.open(0)
    dataset.error = DatasetLost("gone")
    followed.events.rows(1)
    followed.events.rows(2)
    await settle()
    assert [type(error) for error in followed.failures] == [DatasetLost]
    assert followed.live.dataset is None
    assert followed.events.handlers == 0
    assert not followed.events.is_connected
    assert dataset.released


async def test_opens_again_after_it_was_lost():
    followed = Followed()
    dataset = await followed.open(0)
    dataset.error = DatasetLost("gone")
    followed.events.rows(1)
    await settle()
    await followed.open(0, 1, 2, 3)
    followed.events.rows(3, 4)
    await settle()
    assert followed.ids == [0, 1, 2, 3, 4]
    assert followed.events.after == ["0", "3"]


async def test_a_stream_that_begins_anew_is_a_failure():
    followed = Followed()
    dataset = await followed.open(0)
    followed.events.emitter.emit("reset", {"reason": "unknown-id"})
    await settle()
    assert "unknown-id" in str(followed.failures[0])
    assert dataset.released


@pytest.mark.parametrize("error", [WorkerError("x", "OSError"), ConnectionFailed("no token")])
async def test_what_cannot_be_loaded_is_raised_and_nothing_is_followed(error):
    followed = Followed()
    followed.workers.answers.append(error)
    with pytest.raises(type(error)):
        await followed.live.open()
    assert followed.events.handlers == 0
    assert not followed.events.is_connected


async def test_closed_in_the_middle_of_adding_nothing_is_left():
    followed = Followed()
    dataset = await followed.open(0)
    dataset.gate.clear()
    followed.events.rows(1)
    await settle()
    followed.live.close()
    dataset.gate.set()
    await settle()
    assert dataset.rows == numbered(0)
    assert followed.changes == 0
    assert followed.failures == []
    assert followed.events.handlers == 0
    followed.live.close()


async def test_the_token_goes_to_the_worker_and_progress_comes_back():
    followed = Followed()
    followed.workers.answers.append([])
    await followed.live.open(on_progress=print)
    (asked,) = followed.workers.asked
    assert asked["url"] == "./rows"
    assert asked["on_progress"] is print
    assert asked["limit"] == 1000
