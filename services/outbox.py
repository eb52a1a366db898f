"""Messages on their way out."""

from __future__ import annotations

import heapq
from itertools import count

from .errors import QueueFull
from .messages import Id, Message


class Outbox:
    """Messages that wait to be sent, and messages that were sent and wait for their `ack`.

    Only those with an id are acknowledged; the others are forgotten once they are sent. `limit`
    bounds both kinds together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queued: list[Message] = []
        self._unacknowledged: dict[Id, Message] = {}
        self._waiting: set[Id] = set()
        # (deadline, order of arrival, id); what is no longer waiting is skipped when it comes up.
        self._deadlines: list[tuple[float, int, Id]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._queued) + len(self._unacknowledged)

    @property
    def deadline(self) -> float | None:
        """When the next request runs out of time."""
        while self._deadlines and self._deadlines[0][2] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def add(self, message: Message, *, sent: bool, deadline: float | None = None) -> None:
        """Keep what is still needed of `message`. Raises QueueFull, and keeps nothing then."""
        if sent and message.id is None:
            return
        if len(self) >= self._limit:
            raise QueueFull(f"expected at most {self._limit} messages to wait, came one more")
        if sent and message.id is not None:
            self._unacknowledged[message.id] = message
        else:
            self._queued.append(message)
        if message.id is not None and deadline is not None:
            self._waiting.add(message.id)
            heapq.heappush(self._deadlines, (deadline, next(self._order), message.id))

    def flush(self) -> list[Message]:
        """Return all to send on a new connection: the unacknowledged first, then the queued."""
        messages = [*self._unacknowledged.values(), *self._queued]
        self._queued = []
        self._unacknowledged = {m.id: m for m in messages if m.id is not None}
        return messages

    def remove(self, message_id: Id) -> bool:
        """Forget a message, sent or not; return whether it was there."""
        self._waiting.discard(message_id)
        if self._unacknowledged.pop(message_id, None) is not None:
            return True
        before = len(self._queued)
        self._queued = [message for message in self._queued if message.id != message_id]
        return len(self._queued) < before

    def expired(self, now: float) -> list[Id]:
        """Forget the requests whose time is up; return their ids."""
        ids = []
        while (deadline := self.deadline) is not None and deadline <= now:
            message_id = heapq.heappop(self._deadlines)[2]
            self.remove(message_id)
            ids.append(message_id)
        return ids

    def drop_requests(self) -> list[Id]:
        """Forget what has an id; return the ids. Nobody will answer any more."""
        queued = [message.id for message in self._queued if message.id is not None]
        ids = [*self._unacknowledged, *queued]
        for message_id in ids:
            self.remove(message_id)
        return ids

    def clear(self) -> list[Id]:
        """Forget everything; return the ids of the requests."""
        ids = self.drop_requests()
        self._queued.clear()
        return ids
