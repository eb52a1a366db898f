"""What goes over a WebSocket and outlives it: order, acknowledgements and duplicates.

Part of the WebSocket protocol, and sans-I/O like it. ``docs/protocol.md`` is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .actions import (
    Answered,
    Deliver,
    Emit,
    Measure,
    Resumed,
    Send,
    Unclaimed,
)
from .describe import describe
from .errors import InvalidFrame, RealtimeError, RequestRejected, RequestTimeout
from .history import History
from .messages import Id, Message, as_id, decode
from .outbox import Outbox, Outgoing
from .platform import Frame
from .socket_protocol import Actions
from .websocket_options import WebSocketOptions

LIFECYCLE = frozenset({"connected", "disconnected", "error", "reconnect-failed"})
CONTROL = frozenset({"pong", "auth-ok", "ack", "nack", "reset"})
NOT_APPLICATION = LIFECYCLE | CONTROL | {"*"}


class Session:
    """The outbox, the history of what was received, and the frames that keep both true."""

    def __init__(
        self, options: WebSocketOptions, time_ms: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        self.outbox = Outbox(options.queue_limit, options.queue_policy)
        self.history = History()
        self.round_trip: float | None = None
        self.answers = 0
        """Frames that answered one of ours: what we send arrives."""
        self.received_count = 0
        self.sent_count = 0
        self._time_ms = time_ms
        self._new_id = new_id
        self.is_admitted = False
        """Whether the server has accepted a token on this connection."""
        self._resume_id: str | None = None
        self._hold_offered = False
        self._pinged_at: float | None = None
        self._high_water = options.high_water
        # What may still be handed to the socket before somebody has to look how much it holds.
        self._room = self._high_water

    @property
    def announces(self) -> bool:
        """Whether to announce a `resume` in the URL: there is one, and the server knows how."""
        return self._hold_offered and self.history.last is not None

    @property
    def is_congested(self) -> bool:
        """Whether the socket holds too much for more to be handed to it."""
        return self._room <= 0

    @property
    def is_drained(self) -> bool:
        """Whether a sender may go on: everything went out, little waits for its `ack`."""
        return self.outbox.is_roomy and not self.is_congested

    @property
    def deadline(self) -> float | None:
        """When the next request runs out of time."""
        return self.outbox.deadline

    def timer(self, now: float, *, is_open: bool) -> Actions:
        """Give up the requests whose time is up."""
        del is_open
        return [
            Answered(message_id, error=RequestTimeout("no answer in time"))
            for message_id in self.outbox.expired(now)
        ]

    def lost(self) -> None:
        """Keep everything for the next connection."""

    def refused(self) -> None:
        """Send again what the server did not act upon, because it refused the token before it."""
        self.outbox.refused()

    def greeting(self, now: float, token: str | None) -> Actions:
        """Return the first frames after open: auth, resume, unacknowledged, queued."""
        del now
        frames = []
        if token is not None:
            frames.append(self._control("auth", {"token": token}))
        # It has an id so that the server may answer where its log stands: a connection lost before
        # its first message can then be resumed too.
        self._resume_id = self._new_id()
        self._pinged_at = None
        self.is_admitted = False
        frames.append(self._control("resume", {"after": self.history.last}, self._resume_id))
        self.outbox.restart(confirm=token is not None)
        self._room = self._high_water
        return [Send(frame.encode()) for frame in frames] + self.pump()

    def authenticate(self, token: str) -> Actions:
        """Return a frame that says again who we are."""
        return [Send(self._control("auth", {"token": token}).encode())]

    def ping(self, now: float) -> Actions:
        """Return a ping."""
        self._pinged_at = now
        return [Send(self._control("ping", {}).encode())]

    def send(self, message: Message, deadline: float | None, *, is_open: bool) -> Actions:
        """Send or queue. Raises InvalidFrame or QueueFull, and changes nothing then."""
        frame = Outgoing(message.encode(), message.id)
        if frame.id is None and is_open and self._is_free:
            return self._at_once(frame)
        self.outbox.add(frame, deadline)
        return self.pump() if is_open else []

    def forward(self, text: str, *, is_open: bool) -> Actions:
        """Send a frame that somebody else keeps, or queue it as long as the socket is full."""
        frame = Outgoing(text, None)
        if is_open and self._is_free:
            return self._at_once(frame)
        self.outbox.add(frame)
        return self.pump() if is_open else []

    def send_volatile(self, message: Message, *, is_open: bool) -> Actions:
        """Send now or never. Raises InvalidFrame."""
        frame = Outgoing(message.encode(), None)
        if is_open and self._is_free:
            return [self._handed_over(frame), *self._measure_if_full()]
        self.outbox.dropped += 1
        return []

    def pump(self) -> Actions:
        """Hand over what waits, as long as the socket takes it."""
        actions: Actions = []
        if self.is_congested:
            return actions
        while not self.is_congested and (frame := self.outbox.take()) is not None:
            actions.append(self._handed_over(frame))
        return actions + self._measure_if_full()

    def buffered(self, amount: int) -> Actions:
        """Go on if the socket, which holds `amount` bytes, has room again."""
        if self.is_congested and amount > self._high_water // 2:
            return []
        self._room = self._high_water - amount
        return self.pump()

    def received(self, now: float, frames: Sequence[Frame]) -> Actions:
        """Sort frames: ours to act on, the application's to handle, or nobody's."""
        actions: Actions = []
        messages: list[Message] = []
        for frame in frames:
            try:
                message = decode(frame)
                if message.type not in NOT_APPLICATION:
                    if self.history.is_new(message.id):
                        messages.append(message)
                    continue
                others = self._act(now, message)
            except InvalidFrame as error:
                others = [Emit("error", {"error": str(error)})]
            if messages and others:
                actions.append(Deliver(messages))
                self.received_count += len(messages)
                messages = []
            actions += others
        if messages:
            actions.append(Deliver(messages))
            self.received_count += len(messages)
        return actions

    def close(self, error: RealtimeError, *, forget: bool) -> Actions:
        """Fail the requests; `forget` also what else waits to be sent."""
        self._room = self._high_water  # nobody looks at a socket that is gone
        ids = self.outbox.clear() if forget else self.outbox.drop_requests()
        return [Answered(message_id, error=error) for message_id in ids]

    @property
    def _is_free(self) -> bool:
        return not self.is_congested and not self.outbox.queued

    def _at_once(self, frame: Outgoing) -> Actions:
        self.outbox.note_sent(frame)
        return [self._handed_over(frame), *self._measure_if_full()]

    def _handed_over(self, frame: Outgoing) -> Send:
        # Characters, not bytes: near enough to know when to look.
        self._room -= len(frame.text)
        self.sent_count += 1
        return Send(frame.text)

    def _measure_if_full(self) -> Actions:
        return [Measure()] if self.is_congested else []

    def _control(
        self, type_: str, payload: dict[str, object], message_id: Id | None = None
    ) -> Message:
        return Message(type_, payload, self._time_ms(), message_id)

    def _act(self, now: float, message: Message) -> Actions:
        if message.type != "reset":
            # It answers one of our frames, so it has let us in.
            self.outbox.confirmed()
        match message.type:
            case "auth-ok":
                self.is_admitted = True
                return []
            case "pong":
                self.answers += 1
                if self._pinged_at is not None:
                    self.round_trip = max(0.0, now - self._pinged_at)
                    self._pinged_at = None
                return []
            case "ack" | "nack":
                self.answers += 1
                return self._answered(message)
            case "reset":
                payload = message.payload if isinstance(message.payload, dict) else {}
                # Where the log stands now, if the server says so.
                after = as_id(payload.get("after")) if message.id is None else message.id
                self.history.forget(after)
                return [Emit("reset", {"reason": payload.get("reason", "")})]
            case "*":
                raise InvalidFrame("type: expected anything but '*', which means all types")
        raise InvalidFrame(f"type: expected none of the client's own, came {message.type!r}")

    def _answered(self, message: Message) -> Actions:
        payload = message.payload if isinstance(message.payload, dict) else {}
        message_id = as_id(payload.get("id"))
        if message_id is None:
            raise InvalidFrame(
                f"{message.type}: expected an id, came {describe(payload.get('id'))}"
            )
        if message_id == self._resume_id:
            result = payload.get("result")
            if isinstance(result, dict):
                self._hold_offered = result.get("hold") is True
                if self.history.last is None:
                    self.history.last = as_id(result.get("after"))
            return [Resumed()]
        if not self.outbox.remove(message_id):
            return [Unclaimed(message)]  # answered before, or no longer waited for
        if message.type == "ack":
            return [Answered(message_id, result=payload.get("result"))]
        return [Answered(message_id, error=RequestRejected(payload.get("error")))]
