"""Frames on their way out."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import Literal, NamedTuple

from .errors import QueueFull
from .messages import Id

QueuePolicy = Literal["raise", "drop-oldest", "drop-newest"]
"""What becomes of one frame too many: QueueFull for its sender, or one frame is dropped."""


class Outgoing(NamedTuple):
    """A frame as it was when it was sent; one with an id is sent again until its `ack`."""

    text: str
    id: Id | None


class Outbox:
    """Frames that wait to be sent, and frames that were sent and wait for their `ack`.

    `limit` bounds both kinds together, `policy` says what happens beyond. A frame with an id has
    a sender who relies on it: it is never dropped, so where nothing else can be, the newest frame
    is refused with QueueFull.
    """

    def __init__(self, limit: int, policy: QueuePolicy = "raise") -> None:
        self._limit = limit
        self._policy = policy
        self._queued: deque[Outgoing] = deque()
        self._unacknowledged: dict[Id, Outgoing] = {}
        # Sent behind an `auth` that was not answered yet; bounded, since they are gone in any case.
        self._unconfirmed: deque[Outgoing] | None = None
        self._waiting: set[Id] = set()
        # (deadline, order of arrival, id); what is no longer waiting is skipped when it comes up.
        self._deadlines: list[tuple[float, int, Id]] = []
        self._order = count()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queued) + len(self._unacknowledged)

    @property
    def queued(self) -> int:
        """Frames that wait to be sent, or to be sent again."""
        return len(self._queued)

    @property
    def unacknowledged(self) -> int:
        """Frames that were sent on this connection and wait for their `ack`."""
        return len(self._unacknowledged)

    @property
    def is_roomy(self) -> bool:
        """Whether everything has gone out, and at most half of the limit waits for an `ack`."""
        return not self._queued and len(self._unacknowledged) <= self._limit // 2

    @property
    def deadline(self) -> float | None:
        """When the next request runs out of time."""
        while self._deadlines and self._deadlines[0][2] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def add(self, frame: Outgoing, deadline: float | None = None) -> None:
        """Queue a frame. Raises QueueFull, and keeps nothing then."""
        if len(self) >= self._limit and not self._make_room(frame):
            return
        self._queued.append(frame)
        if frame.id is not None and deadline is not None:
            self._waiting.add(frame.id)
            heapq.heappush(self._deadlines, (deadline, next(self._order), frame.id))

    def take(self) -> Outgoing | None:
        """Return the next frame to send, which counts as sent."""
        if not self._queued:
            return None
        frame = self._queued.popleft()
        self.note_sent(frame)
        return frame

    def note_sent(self, frame: Outgoing) -> None:
        """Keep what may be needed of a frame that was sent."""
        if frame.id is not None:
            self._unacknowledged[frame.id] = frame
        if self._unconfirmed is not None:
            self._unconfirmed.append(frame)

    def restart(self, *, confirm: bool) -> None:
        """Begin a new connection: the unacknowledged come first.

        `confirm` keeps also frames without an id until `confirmed`, in case of `refused`.
        """
        self._queued.extendleft(reversed(self._unacknowledged.values()))
        self._unacknowledged.clear()
        self._unconfirmed = deque(maxlen=self._limit) if confirm else None

    def confirmed(self) -> None:
        """Take note that the server let us in: what was sent has arrived."""
        self._unconfirmed = None

    def refused(self) -> None:
        """Queue again what the server did not act upon, because it refused the token before it."""
        if self._unconfirmed is None:
            return
        again = [f for f in self._unconfirmed if f.id is None or f.id in self._unacknowledged]
        for frame in again:
            if frame.id is not None:
                del self._unacknowledged[frame.id]
        self._queued.extendleft(reversed(again))
        self._unconfirmed = None

    def remove(self, message_id: Id) -> bool:
        """Forget a frame, sent or not; return whether it was there."""
        self._waiting.discard(message_id)
        if self._unacknowledged.pop(message_id, None) is not None:
            return True
        before = len(self._queued)
        self._queued = deque(frame for frame in self._queued if frame.id != message_id)
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
        """Forget the requests; return their ids. Nobody will answer any more.

        Other frames with an id stay: their senders rely on a later connection.
        """
        frames = [*self._unacknowledged.values(), *self._queued]
        ids = [frame.id for frame in frames if frame.id in self._waiting and frame.id is not None]
        for message_id in ids:
            self._unacknowledged.pop(message_id, None)
        self._queued = deque(frame for frame in self._queued if frame.id not in self._waiting)
        self._waiting.clear()
        return ids

    def clear(self) -> list[Id]:
        """Forget everything; return the ids of the requests."""
        ids = self.drop_requests()
        self._queued.clear()
        self._unacknowledged.clear()
        self._unconfirmed = None
        return ids

    def _make_room(self, newest: Outgoing) -> bool:
        """Drop as the policy says; return whether `newest` may come in. Raises QueueFull."""
        if self._policy == "drop-newest" and newest.id is None:
            self.dropped += 1
            return False
        if self._policy == "drop-oldest":
            for place, frame in enumerate(self._queued):
                if frame.id is None:
                    del self._queued[place]
                    self.dropped += 1
                    return True
        raise QueueFull(f"expected at most {self._limit} messages to wait, came one more")
