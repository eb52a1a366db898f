"""What waits to be sent to one client of a document: little, however slow it is.

Updates that wait become one, and of each client's state only the last is told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pycrdt

from server import document_frames


class _Change(NamedTuple):
    """An update, and the frame that carries it."""

    update: bytes
    frame: bytes


class Outbox:
    """A queue of frames; at most `limit` updates and `size_limit` bytes wait in it.

    Past that `overrun` is true, nothing waits any more, and nothing is taken.
    """

    def __init__(self, limit: int, size_limit: int) -> None:
        self._limit = limit
        self._size_limit = size_limit
        self._waiting: deque[_Change | bytes] = deque()
        self._size = 0
        self._presence: bytes | None = None
        self._present: set[int] = set()
        self._changed = asyncio.Event()
        self.overrun = False

    def __bool__(self) -> bool:
        return bool(self._waiting or self._present)

    def change(self, update: bytes, frame: bytes) -> None:
        """Let an update wait, in the frame that carries it."""
        self._add(_Change(update, frame), len(update))

    def frame(self, frame: bytes) -> None:
        """Let any other frame wait."""
        self._add(frame, len(frame))

    def forget(self, frame: bytes) -> None:
        """Let a frame wait no longer."""
        self._size -= len(frame) * self._waiting.count(frame)
        self._waiting = deque(item for item in self._waiting if item != frame)

    def presence(self, ids: Iterable[int], frame: bytes) -> None:
        """Let the states of clients wait: all that changed, as the frame that carries them."""
        self._presence = None if self._present else frame
        self._present.update(ids)
        self._changed.set()

    async def take(self, presence: Callable[[Iterable[int]], bytes]) -> bytes:
        """Wait for the next frame and take it; `presence` makes that of the clients named."""
        while not self:
            self._changed.clear()
            await self._changed.wait()
        if not self._waiting:
            ids, self._present = self._present, set()
            return self._presence or presence(ids)
        first = self._next()
        if isinstance(first, bytes):
            return first
        changes = [first]
        while self._waiting and isinstance(self._waiting[0], _Change):
            if isinstance(change := self._next(), _Change):
                changes.append(change)
        if len(changes) == 1:
            return first.frame
        return document_frames.update(merged([change.update for change in changes]))

    def _next(self) -> _Change | bytes:
        item = self._waiting.popleft()
        self._size -= len(item if isinstance(item, bytes) else item.update)
        return item

    def _add(self, item: _Change | bytes, size: int) -> None:
        if self.overrun:
            return
        # What is larger than the limit by itself, as a whole document may be, goes alone.
        if len(self._waiting) >= self._limit or (
            self._waiting and self._size + size > self._size_limit
        ):
            self.overrun = True
            self._waiting.clear()
        else:
            self._waiting.append(item)
            self._size += size
        self._changed.set()


def merged(updates: list[bytes]) -> bytes:
    """Return one update that does what they all do."""
    return pycrdt.merge_updates(*updates)
