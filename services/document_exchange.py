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
from .socket_protocol import BACKLOG, Actions
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

LONGEST_PAUSE = 30.0
"""Seconds between questions for what nobody seems to have; they begin with `PROBE_INTERVAL`."""


class DocumentExchange:
    """Keeps one replica and a server in step. Times are in seconds, `high_water` in bytes."""

    def __init__(self, replica: Replica, *, high_water: int = 1024 * 1024) -> None:
        self.answers = 0
        self.round_trip: float | None = None
        self.is_admitted = False
        self.announces = False
        self.has_answer = False
        """Whether the server has told, on this connection, all that it had before."""
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
        # Whether what the server said it lacked is under way: since before the question, or after.
        self._is_telling = self._asked_telling = False
        # When to ask again for what is missing here, and how long after it was asked in vain.
        self._search_at: float | None = None
        self._search_pause = PROBE_INTERVAL
        self._asked_lacking = self._is_unreadable = False
        self._denial: str | None = None
        self._awaits_admission = False
        self._owes_presence = False
        self._is_open = False

    @property
    def denial(self) -> str | None:
        """Why the server takes no changes on this connection, if it said so.

        What it says before it has read our token, it says of a guest.
        """
        return None if self._awaits_admission else self._denial

    @property
    def is_in_step(self) -> bool:
        """Whether all that the server had is here, and it has all of ours."""
        # What it has not sent when asked, it has not got.
        is_lacking = self._replica.lacks_updates and self._search_pause == PROBE_INTERVAL
        is_whole = self.has_answer and not is_lacking and not self._is_unreadable
        return is_whole and not self.unsynced and not self._is_telling

    @property
    def is_congested(self) -> bool:
        """Whether the socket holds too much for more to be handed to it."""
        return self._room <= 0

    @property
    def deadline(self) -> float | None:
        """When the next question is due."""
        if not self._is_open or self._asked_at is not None:
            return None
        if self._wants_probe:
            return self._next_probe
        return None if self._search_at is None else max(self._search_at, self._next_probe)

    def timer(self, now: float, *, is_open: bool) -> Actions:
        """Ask whether the server has everything, if that is due."""
        due = self.deadline
        return self._probe(now) if is_open and due is not None and due <= now else []

    def greeting(self, now: float, token: str | None) -> Actions:
        """Return the first frames: who we are, what we have, and that we are here."""
        self._is_open = True
        self.is_admitted = self.has_answer = False
        self._denial = None
        self._awaits_admission = token is not None
        self._room = self._high_water
        self._held = []
        # What the server lacks is told when it says what it has: before, it cannot have everything.
        self._has_told = self._wants_probe = self._owes_presence = False
        self._is_telling = self._is_unreadable = False
        self._search_at, self._search_pause = None, PROBE_INTERVAL
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
                            actions += self._apply(now, updates, is_answer=True)
                            actions += self._answered(now, len(update))
                            updates = []
                    case SyncStep1(vector):
                        actions += self._apply(now, updates) + self._tell(now, vector)
                        updates = []
                    case Awareness(update):
                        self._replica.apply_presence(update)
                    case QueryAwareness():
                        actions += self._send(Awareness(self._replica.presence()))
                    case PermissionDenied(reason):
                        self._denial = reason or "no reason given"
            except InvalidFrame as error:
                actions.append(Emit("error", {"error": str(error)}))
        return actions + self._apply(now, updates)

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
        is_much = self.is_congested or len(frame) > BACKLOG
        return [Send(frame), Measure()] if is_much else [Send(frame)]

    def _probe(self, now: float) -> Actions:
        self._asked_at = now
        self._asked_after = self.unsynced if self._has_told else 0
        self._asked_telling = self._is_telling
        self._asked_lacking = self._replica.lacks_updates or self._is_unreadable
        self._wants_probe = False
        self._search_at = None
        return self._send(SyncStep1(self._replica.vector()))

    def _want_probe(self, now: float) -> Actions:
        self._wants_probe = True
        return self._probe(now) if self._asked_at is None and self._next_probe <= now else []

    def _tell(self, now: float, vector: bytes) -> Actions:
        """Answer the server's question, whereupon it has everything, if it takes it."""
        if self.denial is not None:
            # It asks all the same, and drops the answer: so none of ours, but an answer.
            return self._send(SyncStep2(self._replica.update_since(self._replica.vector())))
        is_news = y_messages.lacks(vector, self._replica.vector())
        actions = self._send(SyncStep2(self._replica.update_since(vector)))
        self._has_told = True
        # What is lacking there may be more than what was counted here: that server is another one,
        # or has lost something.
        self._is_telling = self._is_telling or is_news
        return actions + self._want_probe(now) if self.unsynced or is_news else actions

    def _answered(self, now: float, size: int) -> Actions:
        self.answers += 1
        self.has_answer = True
        self._awaits_admission = False
        if self._asked_at is None:
            return []
        self.round_trip = max(0.0, now - self._asked_at)
        self._asked_at = None
        self._next_probe = now + PROBE_INTERVAL + size / ANSWER_RATE
        count = 0 if self._denial is not None else self._asked_after
        self.unsynced -= count
        if self._asked_telling:
            self._is_telling = False
        if self._asked_lacking:
            # In vain, if it is lacking still: a stranger may have sent what builds on nothing.
            self._search_pause = min(2 * self._search_pause, LONGEST_PAUSE)
        self._search(now)
        return [Confirmed(count)]

    def _apply(self, now: float, updates: list[bytes], *, is_answer: bool = False) -> Actions:
        if not updates:
            return []
        faults = self._replica.apply(updates)
        if faults or is_answer:
            self._is_unreadable = bool(faults)
        self._search(now)
        errors = [Emit("error", {"error": f"update: {fault}"}) for fault in faults]
        return [Received(updates), *errors]

    def _search(self, now: float) -> None:
        """Ask the server, soon or some time after the last time, if something is missing here."""
        if not self._is_unreadable and not self._replica.lacks_updates:
            self._search_at, self._search_pause = None, PROBE_INTERVAL
        elif self._search_at is None and self._asked_at is None:
            is_first = self._search_pause == PROBE_INTERVAL
            self._search_at = now + (0 if is_first else self._search_pause)

    def _control(self, frame: Frame) -> None:
        """Take a text frame: what ``/ws`` says about a token. Raises InvalidFrame."""
        assert not isinstance(frame, bytes)
        message = decode_text(frame)
        if message.type == "auth-ok":
            self.is_admitted = True
            # What was said before was said to a guest.
            self._denial, self._awaits_admission = None, False
        elif message.type != "pong":
            raise InvalidFrame(f"text frame: expected auth-ok, came {describe(message.type)}")
