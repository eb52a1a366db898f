"""What other tabs send to the server themselves, as they say, and may never have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .platform import Cancel, Platform

PATIENCE = 45.0
"""Seconds in which a tab whose connection is dead finds out, and tells it all again."""


class Entrusted:
    """Updates of other tabs, until the server has passed them on, or they are sent from here.

    A tab may be closed, or crash, with its connection dead and nobody aware of it: so `overdue`
    gets what has not come back from the server in time.
    """

    def __init__(self, platform: Platform, overdue: Callable[[list[bytes]], None]) -> None:
        self._platform = platform
        self._overdue = overdue
        # Since when, oldest first.
        self._updates: dict[bytes, float] = {}
        self._cancel: Cancel | None = None

    def add(self, update: bytes) -> None:
        """Expect an update to come back."""
        self._updates.setdefault(update, self._platform.now())
        self._wait()

    def arrived(self, updates: Iterable[bytes]) -> None:
        """Hear what the server has sent.

        It may send several updates as one: those will be sent twice, which does no harm.
        """
        for update in updates:
            self._updates.pop(update, None)

    def take(self) -> list[bytes]:
        """Return all of them: they are sent from here now."""
        updates = list(self._updates)
        self.forget()
        return updates

    def forget(self) -> None:
        """Expect nothing any more."""
        self._updates.clear()
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _wait(self) -> None:
        if self._cancel is None and self._updates:
            due = next(iter(self._updates.values())) + PATIENCE
            delay = max(0.0, due - self._platform.now())
            self._cancel = self._platform.call_later(delay, self._look)

    def _look(self) -> None:
        self._cancel = None
        latest = self._platform.now() - PATIENCE
        late = [update for update, since in self._updates.items() if since <= latest]
        self.arrived(late)
        self._wait()
        if late:
            self._overdue(late)
