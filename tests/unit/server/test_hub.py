from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.event_log import Event, SQLiteEventLog
from server.hub import CannotResumeError, Feed, Subscription

pytestmark = pytest.mark.anyio


def encode(event: Event) -> str:
    return str(event.id)


@contextmanager
def open_feed(*, queue_limit: int = 1000, horizon: int = 10_000) -> Iterator[Feed[str]]:
    with tempfile.TemporaryDirectory() as folder:
        log = SQLiteEventLog(Path(folder) / "events.db", horizon=horizon, origin=0)
        try:
            yield Feed("notification", log, encode, queue_limit=queue_limit)
        finally:
            log.close()


async def publish(feed: Feed[str], count: int) -> None:
    for _ in range(count):
        await feed.publish({})


async def missed(feed: Feed[str], after: str, until: int | None = None) -> list[str]:
    return [f async for f in feed.replay(after, feed.position if until is None else until)]


async def test_everyone_gets_what_is_published_after_they_subscribed() -> None:
    with open_feed() as feed:
        with feed.subscribe() as early:
            await publish(feed, 1)
            with feed.subscribe() as late:
                await publish(feed, 2)
                assert [await anext(early) for _ in range(3)] == ["1", "2", "3"]
                assert [await anext(late) for _ in range(2)] == ["2", "3"]
                assert late.start == 1
        assert not feed.subscriptions


async def test_an_event_is_encoded_once_for_everyone() -> None:
    encoded = []
    with tempfile.TemporaryDirectory() as folder:
        log = SQLiteEventLog(Path(folder) / "events.db", horizon=100, origin=0)
        feed = Feed("a", log, lambda e: encoded.append(e) or b"", queue_limit=10)  # type: ignore[func-returns-value]
        with feed.subscribe(), feed.subscribe(), feed.subscribe():
            await feed.publish({})
        log.close()
    assert len(encoded) == 1


async def test_waiting_for_the_next_event() -> None:
    with open_feed() as feed, feed.subscribe() as subscription:
        waiting = asyncio.create_task(anext(subscription))
        await asyncio.sleep(0)
        await publish(feed, 1)
        assert await waiting == "1"


async def test_a_subscription_that_overruns_ends_alone() -> None:
    with open_feed(queue_limit=3) as feed, feed.subscribe() as slow, feed.subscribe() as fast:
        for n in range(1, 10):
            await publish(feed, 1)
            assert await anext(fast) == str(n)
        assert slow.overrun
        assert not fast.overrun
        assert feed.subscriptions == {fast}
        assert [frame async for frame in slow] == []


async def test_ending_a_subscription_wakes_whoever_waits() -> None:
    with open_feed() as feed, feed.subscribe() as subscription:
        waiting = asyncio.create_task(anext(subscription, "ended"))
        await asyncio.sleep(0)
        subscription.end()
        assert await waiting == "ended"
        assert not subscription.overrun


async def test_a_replay_ends_where_the_subscription_begins() -> None:
    with open_feed() as feed:
        await publish(feed, 450)
        assert await missed(feed, "0") == [str(n) for n in range(1, 451)]
        assert await missed(feed, "448") == ["449", "450"]
        assert await missed(feed, "450") == []
        assert await missed(feed, "100", until=103) == ["101", "102", "103"]


async def test_an_id_from_the_future_or_no_id_at_all() -> None:
    with open_feed() as feed:
        await publish(feed, 3)
        for bad in ("4", "999999999999999999", "9" * 30, "-1", "", "1.0", " 1", "²", "null"):
            with pytest.raises(CannotResumeError) as caught:
                await missed(feed, bad)
            assert caught.value.reason == "unknown-id"


async def test_an_id_of_another_log() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = SQLiteEventLog(Path(folder) / "events.db", horizon=100, origin=1000)
        feed = Feed("notification", log, encode, queue_limit=10)
        await feed.open()
        assert feed.position == 1000
        assert await missed(feed, "1000") == []
        await publish(feed, 3)
        for old in ("1", "999", "000999"):
            with pytest.raises(CannotResumeError) as caught:
                await missed(feed, old)
            assert caught.value.reason == "unknown-id"
        assert await missed(feed, "0") == await missed(feed, "1000") == ["1001", "1002", "1003"]
        log.close()


async def test_a_subscription_that_is_finished_ends_with_what_waits() -> None:
    with open_feed() as feed, feed.subscribe() as subscription:
        await publish(feed, 2)
        subscription.finish()
        await publish(feed, 1)
        assert [frame async for frame in subscription] == ["1", "2"]


async def test_an_id_beyond_the_horizon() -> None:
    with open_feed(horizon=100) as feed:
        await publish(feed, 150)
        with pytest.raises(CannotResumeError) as caught:
            await missed(feed, "1")
        assert caught.value.reason == "expired"
        assert await missed(feed, "50") == [str(n) for n in range(51, 151)]


async def test_the_horizon_overtakes_a_slow_replay() -> None:
    with open_feed(horizon=300) as feed:
        await publish(feed, 300)
        replay = feed.replay("0", feed.position)
        got = [await anext(replay)]
        await publish(feed, 300)
        got += [await anext(replay) for _ in range(199)]
        with pytest.raises(CannotResumeError) as caught:
            await anext(replay)
        assert caught.value.reason == "expired"
        assert got == [str(n) for n in range(1, 201)]


class Client:
    """Connects and leaves as it is told, and resumes from the last id it got."""

    def __init__(self, feed: Feed[str]) -> None:
        self.feed = feed
        self.got: list[str] = []
        self.last = str(feed.position)
        self.subscription: Subscription[str] | None = None

    def connect(self) -> None:
        self.disconnect()
        self.subscription = self.feed.subscribe()
        self.frames = self._frames(self.subscription.__enter__())

    def disconnect(self) -> None:
        if self.subscription is not None:
            self.subscription.__exit__()
        self.subscription = None

    async def read(self, count: int) -> None:
        while self.subscription and count and len(self.got) < self.feed.position:
            count -= 1
            frame = await anext(self.frames, None)
            if frame is None:
                assert self.subscription.overrun
                self.disconnect()
            else:
                self.got.append(frame)
                self.last = frame

    async def _frames(self, subscription: Subscription[str]) -> AsyncIterator[str]:
        async for frame in self.feed.replay(self.last, until=subscription.start):
            yield frame
        async for frame in subscription:
            yield frame


operations = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 12)),
        st.tuples(st.just("connect"), st.just(0)),
        st.tuples(st.just("disconnect"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 12)),
    ),
    max_size=40,
)


@given(operations)
@settings(max_examples=100, deadline=None)
def test_each_id_once_and_in_order_however_a_client_comes_and_goes(
    steps: list[tuple[str, int]],
) -> None:
    async def run() -> None:
        with open_feed(queue_limit=8) as feed:
            client = Client(feed)
            for step, count in steps:
                match step:
                    case "publish":
                        await publish(feed, count)
                    case "connect":
                        client.connect()
                    case "disconnect":
                        client.disconnect()
                    case "read":
                        await client.read(count)
            client.connect()
            await client.read(10_000)
            client.disconnect()
            assert client.got == [str(n) for n in range(1, feed.position + 1)]

    asyncio.run(run())
