"""What goes over a document's connection and outlives it: what each side has of the other's.

An `Exchange` of a `SocketProtocol`, and sans-I/O like it: the replica is data here. The frames are
those of ``y_messages``. That protocol acknowledges nothing; but it answers `SyncStep1`, and a
server deals with frames in their order. So the answer to one says that the server has all that was
sent before it: it serves as acknowledgement and as heartbeat alike, at any server.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import y_messages
from .actions import Confirmed, Emit, Measure, Received, Send
from .describe import describe
from .errors import InvalidFrame, RealtimeError
from .messages import Message
from .messages import decode as decode_text
from .platform import Frame
from .replica import Replica
from .socket_protocol import Actions
from .y_messages import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
    YMessage,
)

PROBE_INTERVAL = 0.2
"""Seconds between questions whether the server has everything."""

ANSWER_RATE = 20_000
"""Bytes a second that answers may come to: some servers send all deletions with each."""


class DocumentExchange:
    """Keeps one replica and a server in step. Times are in seconds, `high_water` in bytes."""

    def __init__(self, replica: Replica, *, high_water: int = 1024 * 1024) -> None:
        self.answers = 0
        self.round_trip: float | None = None
        self.is_admitted = False
        self.announces = False
        self.has_answer = False
        """Whether the server has told, on this connection, all that it had before."""
        self.denial: str | None = None
        """Why it takes no changes on this connection, if it said so."""
        self.unsynced = 0
        """Changes of this browser that the server has not confirmed."""
        self._replica = replica
        self._high_water = high_water
        self._room = high_water
        self._held: list[bytes] = []
        # When the question under way was sent, and how many changes had been before it.
        self._asked_at: float | None = None
        self._asked_after = 0
        self._next_probe = 0.0
        self._wants_probe = False
        self._has_told = False
        self._owes_presence = False
        self._is_open = False

    @property
    def is_congested(self) -> bool:
        """Whether the socket holds too much for more to be handed to it."""
        return self._room <= 0

    @property
    def deadline(self) -> float | None:
        """When the next question is due."""
        waits = self._is_open and self._wants_probe and self._asked_at is None
        return self._next_probe if waits else None

    def timer(self, now: float, *, is_open: bool) -> Actions:
        """Ask whether the server has everything, if that is due."""
        due = self.deadline
        return self._probe(now) if is_open and due is not None and due <= now else []

    def greeting(self, now: float, token: str | None) -> Actions:
        """Return the first frames: who we are, what we have, and that we are here."""
        self._is_open = True
        self.is_admitted = self.has_answer = False
        self.denial = None
        self._room = self._high_water
        self._held = []
        # What the server lacks is told when it says what it has: before, it cannot have everything.
        self._has_told = self._wants_probe = self._owes_presence = False
        actions = [] if token is None else self.authenticate(token)
        actions += self._probe(now)
        return actions + self._send(Awareness(self._replica.presence()))

    def authenticate(self, token: str) -> Actions:
        """Return a frame that says again who we are."""
        return [Send(Message("auth", {"token": token}).encode())]

    def ping(self, now: float) -> Actions:
        """Ask what we lack, unless an answer is waited for anyway."""
        return [] if self._asked_at is not None else self._probe(now)

    def changed(self, now: float, updates: Sequence[bytes], count: int) -> Actions:
        """Send what has changed here: `count` changes of this browser that nobody else sends."""
        self.unsynced += count
        if not self._is_open or self.denial is not None:
            return []
        actions: Actions = []
        for update in updates:
            actions += self._send(Update(update))
        return actions + self._want_probe(now)

    def present(self, update: bytes) -> Actions:
        """Say who is here and where, if there is anybody to say it to."""
        if self._held or self.is_congested:
            self._owes_presence = True  # only the latest counts, once there is room
            return []
        return self._send(Awareness(update)) if self._is_open else []

    def received(self, now: float, frames: Sequence[Frame]) -> Actions:
        """Take frames. All updates among them are applied together."""
        actions: Actions = []
        updates: list[bytes] = []
        for frame in frames:
            try:
                if not isinstance(frame, bytes):
                    self._control(frame)
                    continue
                message = y_messages.decode(frame)
                match message:
                    case SyncStep2(update) | Update(update):
                        updates.append(update)
                        if isinstance(message, SyncStep2):
                            actions += self._apply(updates) + self._answered(now, len(update))
                            updates = []
                    case SyncStep1(vector):
                        actions += self._apply(updates) + self._tell(now, vector)
                        updates = []
                    case Awareness(update):
                        self._replica.apply_presence(update)
                    case QueryAwareness():
                        actions += self._send(Awareness(self._replica.presence()))
                    case PermissionDenied(reason):
                        self.denial = reason or "no reason given"
            except InvalidFrame as error:
                actions.append(Emit("error", {"error": str(error)}))
        return actions + self._apply(updates)

    def buffered(self, amount: int) -> Actions:
        """Go on if the socket, which holds `amount` bytes, has room again."""
        if self.is_congested and amount > self._high_water // 2:
            return []
        self._room = self._high_water - amount
        held, self._held = self._held, []
        actions: Actions = []
        for place, frame in enumerate(held):
            if self.is_congested:
                self._held = held[place:]
                break
            actions += self._hand_over(frame)
        if self._owes_presence and not self.is_congested:
            self._owes_presence = False
            actions += self._send(Awareness(self._replica.presence()))
        return actions

    def lost(self) -> None:
        """Hear that the connection is gone: nobody answers any more."""
        self._is_open = False
        self.has_answer = False
        self._asked_at = None
        self._held = []
        self._room = self._high_water

    def refused(self) -> None:
        """Hear that the server did not accept the token. The next connection tells it all again."""

    def close(self, error: RealtimeError, *, forget: bool) -> Actions:
        """Nothing is forgotten: it is in the replica."""
        del error, forget
        self.lost()
        return []

    def _send(self, message: YMessage) -> Actions:
        frame = y_messages.encode(message)
        if self._held or self.is_congested:
            self._held.append(frame)
            return []
        return self._hand_over(frame)

    def _hand_over(self, frame: bytes) -> Actions:
        self._room -= len(frame)
        return [Send(frame), Measure()] if self.is_congested else [Send(frame)]

    def _probe(self, now: float) -> Actions:
        self._asked_at = now
        self._asked_after = self.unsynced if self._has_told else 0
        self._wants_probe = False
        return self._send(SyncStep1(self._replica.vector()))

    def _want_probe(self, now: float) -> Actions:
        self._wants_probe = True
        return self._probe(now) if self._asked_at is None and self._next_probe <= now else []

    def _tell(self, now: float, vector: bytes) -> Actions:
        """Answer the server's question, whereupon it has everything, if it takes it."""
        if self.denial is not None:
            # It asks all the same, and drops the answer: so none of ours, but an answer.
            return self._send(SyncStep2(self._replica.update_since(self._replica.vector())))
        actions = self._send(SyncStep2(self._replica.update_since(vector)))
        self._has_told = True
        return actions + self._want_probe(now) if self.unsynced else actions

    def _answered(self, now: float, size: int) -> Actions:
        self.answers += 1
        self.has_answer = True
        if self._asked_at is None:
            return []
        self.round_trip = max(0.0, now - self._asked_at)
        self._asked_at = None
        self._next_probe = now + PROBE_INTERVAL + size / ANSWER_RATE
        count = 0 if self.denial is not None else self._asked_after
        self.unsynced -= count
        if self._replica.lacks_updates:
            # What came before its predecessors: the answer to another question will have them.
            self._wants_probe = True
        return [Confirmed(count)]

    def _apply(self, updates: list[bytes]) -> Actions:
        if not updates:
            return []
        faults = self._replica.apply(updates)
        if faults or self._replica.lacks_updates:
            self._wants_probe = True
        errors = [Emit("error", {"error": f"update: {fault}"}) for fault in faults]
        return [Received(updates), *errors]

    def _control(self, frame: Frame) -> None:
        """Take a text frame: what ``/ws`` says about a token. Raises InvalidFrame."""
        assert not isinstance(frame, bytes)
        message = decode_text(frame)
        if message.type == "auth-ok":
            self.is_admitted = True
        elif message.type != "pong":
            raise InvalidFrame(f"text frame: expected auth-ok, came {describe(message.type)}")
