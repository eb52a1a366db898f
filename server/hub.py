"""Fan-out: one publisher, many clients, every event to each of them once and in order.

A subscription begins at a position in the log. What is published after it waits in the
subscription's own bounded queue; what came before it is in the log, for a client that resumes.
The two meet at that position exactly, so there is neither a gap nor an overlap between them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Self, TypeVar

from server.event_log import Event, EventLog
from server.metrics import Metrics

#: What a client is sent: text for a WebSocket, bytes for an event stream.
Frame = TypeVar("Frame")

#: How many events to read from the log at a time.
_BATCH = 200


class CannotResumeError(Exception):
    """What a client missed cannot be told; `reason` is what it is told instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Subscription(Generic[Frame]):
    """The frames that wait for one client. Iterating it waits for the next one.

    Enter it as a context manager to take part, leave it to take part no more. The iteration ends
    after `end()`, or when more than `limit` frames wait: `overrun` tells that the client was too
    slow. Frames still waiting are dropped then; the client resumes from the last one it got.
    After `finish()` it ends too, but with those.
    """

    def __init__(self, feed: Feed[Frame], limit: int) -> None:
        self._feed = feed
        self._limit = limit
        self._frames: deque[Frame] = deque()
        self._changed = asyncio.Event()
        #: Whether there is nothing more to come, beside what waits.
        self.ended = False
        self.overrun = False
        #: The position at which the queue begins and the log ends, for this client.
        self.start = feed.position

    def __enter__(self) -> Self:
        self._feed.subscriptions.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while not self._frames:
            if self.ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._frames.popleft()

    def offer(self, frame: Frame) -> None:
        """Let `frame` wait for the client, or give the client up if too many wait already."""
        if len(self._frames) >= self._limit:
            self.overrun = True
            self.end()
            return
        self._frames.append(frame)
        self._changed.set()

    def end(self) -> None:
        """Drop what waits and end the iteration."""
        self._frames.clear()
        self.finish()

    def finish(self) -> None:
        """End the iteration after what waits."""
        self._feed.subscriptions.discard(self)
        self.ended = True
        self._changed.set()


class Feed(Generic[Frame]):
    """All events of one type: appended to the log, encoded once, handed to every subscription."""

    def __init__(
        self,
        kind: str,
        log: EventLog,
        encode: Callable[[Event], Frame],
        *,
        queue_limit: int,
        metrics: Metrics | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        self._publish_seconds = metrics.publish_seconds
        self._append_seconds = metrics.append_seconds
        self._published = metrics.published[kind]
        self._replayed = metrics.replayed[kind]
        self._resets = metrics.resets
        self._kind = kind
        self._log = log
        self._encode = encode
        self._queue_limit = queue_limit
        self._turn = asyncio.Lock()
        self.subscriptions: set[Subscription[Frame]] = set()
        #: The id of the last event handed to the subscriptions.
        self.position = 0

    async def open(self) -> None:
        """Take up where the log ends."""
        self.position = await self._log.last_id()

    async def publish(self, payload: dict[str, Any], *, key: str | None = None) -> Event:
        """Append an event and hand it to everyone.

        It is in the log before anyone sees it: no client ever holds an id that a restarted
        gateway does not know. Raises `EventLogError`; with a key, see `EventLog.append`, also
        `AlreadyAppliedError`.
        """
        # Two appends may finish in either order where the log is remote; delivery may not.
        async with self._turn:
            started = time.perf_counter()
            event = await self._log.append(self._kind, payload, key=key)
            self._append_seconds.observe(time.perf_counter() - started)
            frame = self._encode(event)
            self.position = event.id
            for subscription in tuple(self.subscriptions):
                subscription.offer(frame)
            self._publish_seconds.observe(time.perf_counter() - started)
        self._published.inc()
        return event

    def subscribe(self) -> Subscription[Frame]:
        """Return a subscription that begins at the present position; enter it at once."""
        return Subscription(self, self._queue_limit)

    async def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return the payloads of the last `limit` events, newest first."""
        return [event.payload for event in await self._log.latest(self._kind, limit=limit)]

    async def replay(self, after: str, until: int) -> AsyncIterator[Frame]:
        """Yield the frames of the events that follow the id `after`, up to position `until`.

        Raises `CannotResumeError` if `after` is no id of this log (`unknown-id`), or if events
        after it are gone (`expired`); the latter may happen midway, to a client so slow that
        the log's horizon overtakes it. "0" is before all logs. May raise `EventLogError`.
        """
        position = _position(after)
        if (
            position is None
            or position > max(until, await self._log.last_id())
            or 0 < position < await self._log.origin()
        ):
            raise self._reset("unknown-id")
        while position < until:
            events = await self._log.after(self._kind, position, limit=_BATCH)
            # Asked after reading: the other way round, a deletion in between would go unseen.
            if position < await self._log.oldest_position(self._kind):
                raise self._reset("expired")
            for event in events:
                if event.id > until:
                    return
                self._replayed.inc()
                yield self._encode(event)
                position = event.id
            if len(events) < _BATCH:
                return

    def _reset(self, reason: str) -> CannotResumeError:
        self._resets[reason].inc()
        return CannotResumeError(reason)


def _position(wire_id: str) -> int | None:
    """Return the position that an id on the wire stands for."""
    # 18 digits stay below SQLite's largest integer.
    known = wire_id.isascii() and wire_id.isdecimal() and len(wire_id) <= 18
    return int(wire_id) if known else None
