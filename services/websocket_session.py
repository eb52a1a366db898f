"""What goes over a WebSocket and outlives it: order, acknowledgements and duplicates.

Part of the WebSocket protocol, and sans-I/O like it. ``docs/protocol.md`` is the reference.
"""

from __future__ import annotations

from collections.abc import Callable

from .actions import Answered, Deliver, Emit, Send, WebSocketAction
from .describe import describe
from .errors import InvalidFrame, RealtimeError, RequestRejected
from .history import History
from .messages import Id, Message, as_id, decode
from .outbox import Outbox

LIFECYCLE = frozenset({"connected", "disconnected", "error", "reconnect-failed"})

Actions = list[WebSocketAction]


class Session:
    """The outbox, the history of what was received, and the frames that keep both true."""

    def __init__(
        self, queue_limit: int, time_ms: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        self.outbox = Outbox(queue_limit)
        self.history = History()
        self._time_ms = time_ms
        self._new_id = new_id
        self._resume_id: str | None = None

    def greeting(self, token: str | None) -> Actions:
        """Return the first frames after open: auth, resume, unacknowledged, queued."""
        frames = []
        if token is not None:
            frames.append(self._control("auth", {"token": token}))
        # It has an id so that the server may answer where its log stands: a connection lost before
        # its first message can then be resumed too.
        self._resume_id = self._new_id()
        frames.append(self._control("resume", {"after": self.history.last}, self._resume_id))
        frames += self.outbox.flush()
        return [Send(frame.encode()) for frame in frames]

    def ping(self) -> Actions:
        """Return a ping."""
        return [Send(self._control("ping", {}).encode())]

    def send(self, message: Message, deadline: float | None, *, is_open: bool) -> Actions:
        """Send or queue. Raises InvalidFrame or QueueFull, and changes nothing then."""
        text = message.encode()
        self.outbox.add(message, sent=is_open, deadline=deadline)
        return [Send(text)] if is_open else []

    def received(self, frame: str | bytes) -> Actions:
        """Sort a frame: ours to act on, the application's to handle, or nobody's."""
        try:
            return self._sort(decode(frame))
        except InvalidFrame as error:
            return [Emit("error", {"error": str(error)})]

    def close(self, error: RealtimeError, *, forget: bool) -> Actions:
        """Fail the requests; `forget` also what else waits to be sent."""
        ids = self.outbox.clear() if forget else self.outbox.drop_requests()
        return [Answered(message_id, error=error) for message_id in ids]

    def _control(
        self, type_: str, payload: dict[str, object], message_id: Id | None = None
    ) -> Message:
        return Message(type_, payload, self._time_ms(), message_id)

    def _sort(self, message: Message) -> Actions:
        match message.type:
            case "pong" | "auth-ok":
                return []
            case "ack" | "nack":
                return self._answered(message)
            case "reset":
                payload = message.payload if isinstance(message.payload, dict) else {}
                # Where the log stands now, if the server says so.
                after = as_id(payload.get("after")) if message.id is None else message.id
                self.history.forget(after)
                return [Emit("reset", {"reason": payload.get("reason", "")})]
            case "*":
                raise InvalidFrame("type: expected anything but '*', which means all types")
            case type_ if type_ in LIFECYCLE:
                raise InvalidFrame(f"type: expected none of the client's own, came {type_!r}")
        return [Deliver(message)] if self.history.is_new(message.id) else []

    def _answered(self, message: Message) -> Actions:
        payload = message.payload if isinstance(message.payload, dict) else {}
        message_id = as_id(payload.get("id"))
        if message_id is None:
            raise InvalidFrame(
                f"{message.type}: expected an id, came {describe(payload.get('id'))}"
            )
        if message_id == self._resume_id:
            result = payload.get("result")
            if self.history.last is None and isinstance(result, dict):
                self.history.last = as_id(result.get("after"))
            return []
        if not self.outbox.remove(message_id):
            return []  # answered before, or no longer waited for
        if message.type == "ack":
            return [Answered(message_id, result=payload.get("result"))]
        return [Answered(message_id, error=RequestRejected(payload.get("error")))]
