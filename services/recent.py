"""The latest messages of a connection, for tabs that come late to them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from .history import REMEMBERED
from .messages import Id

Item = dict[str, Any]

KEPT = REMEMBERED
"""Messages kept. A receiver remembers as many ids, so what it is told twice it drops."""


class Recent:
    """Messages with an id, in the order in which they came, and the position before the first."""

    def __init__(self) -> None:
        self._base: Id | None = None
        self._items: dict[Id, Item] = {}
        self.count = 0
        """How many have come so far."""

    @property
    def last(self) -> Id | None:
        """The position at the end."""
        return next(reversed(self._items), self._base)

    def add(self, items: Iterable[Item]) -> None:
        """Take messages; those without an id, or that are there already, are left out."""
        for item in items:
            message_id = item["id"]
            if message_id is not None and message_id not in self._items:
                self._items[message_id] = item
                self.count += 1
        for message_id in tuple(islice(self._items, max(0, len(self._items) - KEPT))):
            del self._items[message_id]
            self._base = message_id

    def restart(self, position: Id | None) -> None:
        """Begin anew after `position`: nothing is known of what came before."""
        self._items.clear()
        self._base = position

    def knows(self, position: Id) -> bool:
        """Return whether all that came after `position` is here."""
        return position == self._base or position in self._items

    def after(self, position: Id) -> list[Item]:
        """Return what came after a position that it knows."""
        if position not in self._items:
            return list(self._items.values())
        ids = iter(self._items)
        for message_id in ids:
            if message_id == position:
                break
        return [self._items[message_id] for message_id in ids]

    def since(self, count: int) -> list[Item] | None:
        """Return what has come since there were `count`, or None if not all of it is kept."""
        wanted = self.count - count
        if wanted > len(self._items):
            return None
        return list(islice(self._items.values(), len(self._items) - wanted, None))
