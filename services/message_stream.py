"""Messages as an async iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from .errors import QueueFull, RealtimeError
from .messages import Message
from .outbox import QueuePolicy


class MessageStream:
    """Messages from the moment it is made on, across reconnections, until the client is closed.

    At most `limit` messages wait for a reader that falls behind. What then happens is `policy`:
    "drop-oldest" keeps the newest, "drop-newest" those that wait; `dropped` counts what is lost,
    and `on_overflow` is told once for each time it begins. With "raise" nothing is lost unseen:
    what waits can still be read, and then the iteration ends with QueueFull. Each message goes to
    one reader, if several read.
    """

    def __init__(
        self,
        types: frozenset[str],
        limit: int,
        policy: QueuePolicy,
        on_overflow: Callable[[], None],
    ) -> None:
        self._types = types
        self._limit = limit
        self._policy = policy
        self._on_overflow = on_overflow
        self._buffer: deque[Message] = deque()
        self._overflowing = False
        self._news = asyncio.Event()
        self._finished = False
        self._error: RealtimeError | None = None
        self.dropped = 0

    def push(self, message: Message) -> None:
        """Take a message, if it is of a type that was asked for."""
        if self._finished or (self._types and message.type not in self._types):
            return
        if len(self._buffer) < self._limit:
            self._buffer.append(message)
            self._news.set()
        else:
            self._overflow(message)

    def finish(self, error: RealtimeError | None) -> None:
        """End the iteration after what is buffered, with `error` if there is one."""
        if self._finished:
            return
        self._finished = True
        self._error = error
        self._news.set()

    def _overflow(self, message: Message) -> None:
        self.dropped += 1
        if self._policy == "raise":
            self.finish(QueueFull(f"expected at most {self._limit} messages to wait for a reader"))
            return
        if self._policy == "drop-oldest":
            self._buffer.popleft()
            self._buffer.append(message)
        if not self._overflowing:
            self._overflowing = True
            self._on_overflow()

    def __aiter__(self) -> MessageStream:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self._finished:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        message = self._buffer.popleft()
        if not self._buffer:
            self._overflowing = False
        return message.as_dict()
