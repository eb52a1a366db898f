"""A list of items that each leave after the same time, unless the clock is stopped."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Identified(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> Hashable:
        """What tells it from others."""


Item = TypeVar("Item", bound=Identified)


class ExpiringList(Generic[Item]):
    """Newest first, at most `limit` items, each for `lifetime` seconds.

    Knows no clock: every method that needs the time is told it, in seconds that
    never go back. While paused, nothing expires and no item's time runs.
    """

    def __init__(self, limit: int, lifetime: float) -> None:
        self._limit = limit
        self._lifetime = lifetime
        self._entries: list[tuple[Item, float]] = []
        self._paused_at: float | None = None

    @property
    def items(self) -> tuple[Item, ...]:
        """The items, newest first."""
        return tuple(item for item, _ in self._entries)

    @property
    def is_paused(self) -> bool:
        """Whether time stands still."""
        return self._paused_at is not None

    def add(self, item: Item, now: float) -> None:
        """Put an item first. One of the same id gives way, as does the oldest past the limit."""
        self.remove(item.id)
        started = now if self._paused_at is None else self._paused_at
        self._entries.insert(0, (item, started + self._lifetime))
        del self._entries[self._limit :]

    def remove(self, id: Hashable) -> None:
        """Take an item out, if it is still there."""
        self._entries = [entry for entry in self._entries if entry[0].id != id]

    def pause(self, now: float) -> None:
        """Stop the clock, once the items whose time is up have left."""
        if self._paused_at is None:
            self.expire(now)
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Let the clock run on: each item has the time left that it had."""
        if self._paused_at is not None:
            missed = now - self._paused_at
            self._entries = [(item, expires + missed) for item, expires in self._entries]
            self._paused_at = None

    def expire(self, now: float) -> None:
        """Take out the items whose time is up."""
        if self._paused_at is None:
            self._entries = [entry for entry in self._entries if entry[1] > now]

    def next_expiry(self) -> float | None:
        """Return the time when the next item's time is up; None when none's will be."""
        if self._paused_at is not None or not self._entries:
            return None
        return self._entries[-1][1]
