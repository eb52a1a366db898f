"""Messages as an async iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from .errors import RealtimeError
from .messages import Message


class MessageStream:
    """Messages from the moment it is made on, across reconnections, until the client is closed.

    At most `limit` messages wait for a reader that falls behind. Then the oldest are dropped:
    `dropped` counts them, and `on_overflow` is told once for each time it happens. Each message
    goes to one reader, if several read.
    """

    def __init__(self, types: frozenset[str], limit: int, on_overflow: Callable[[], None]) -> None:
        self._types = types
        self._on_overflow = on_overflow
        self._buffer: deque[Message] = deque(maxlen=limit)
        self._overflowing = False
        self._news = asyncio.Event()
        self._finished = False
        self._error: RealtimeError | None = None
        self.dropped = 0

    def push(self, message: Message) -> None:
        """Take a message, if it is of a type that was asked for."""
        if self._types and message.type not in self._types:
            return
        full = len(self._buffer) == self._buffer.maxlen
        self._buffer.append(message)
        self._news.set()
        if full:
            self.dropped += 1
            if not self._overflowing:
                self._overflowing = True
                self._on_overflow()

    def finish(self, error: RealtimeError | None) -> None:
        """End the iteration after what is buffered, with `error` if there is one."""
        self._finished = True
        self._error = error
        self._news.set()

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
