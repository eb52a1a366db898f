"""What a client has seen of the server's ordered messages."""

from __future__ import annotations

from itertools import islice

from .messages import Id

REMEMBERED = 1024
"""Ids kept at least. The server replays only what follows the last one, so duplicates are near."""


class History:
    """The last id, and which ids have been seen. Ids are opaque: only equality counts."""

    def __init__(self) -> None:
        self.last: Id | None = None
        # A dict keeps the order of insertion, which makes it a ring as well as a set.
        self._seen: dict[Id, None] = {}

    def is_new(self, message_id: Id | None) -> bool:
        """Return whether a message is new, and remember it. One without an id always is."""
        if message_id is None:
            return True
        if message_id in self._seen:
            return False
        self._seen[message_id] = None
        # Seldom and many at once: one at a time costs half of what all the rest here does.
        if len(self._seen) > 2 * REMEMBERED:
            self._seen = dict.fromkeys(islice(self._seen, REMEMBERED, None))
        self.last = message_id
        return True

    def forget(self, last: Id | None) -> None:
        """Start again after `last`: the server could not replay, or its log is another one."""
        self._seen.clear()
        self.last = last
