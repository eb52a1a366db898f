"""What a protocol asks its shell to do: one closed union for each of the two protocols.

Fields that may hold a token are left out of the text form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import RealtimeError
from .messages import Id, Message


@dataclass(frozen=True, slots=True)
class AskToken:
    """Ask the token provider; answer with `token_received` or `token_failed`."""


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Open a WebSocket; answer with `opened` or `closed`."""


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Open an event stream; answer with `opened` or `closed`."""

    last_event_id: str
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """Drop what is being opened or is open, and a token that is being asked for."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a text frame to the socket."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the handlers of a lifecycle event."""

    type: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand a message to its handlers."""

    message: Message


@dataclass(frozen=True, slots=True)
class DeliverEvent:
    """Hand a server-sent event to its handlers."""

    event: str
    data: object


@dataclass(frozen=True, slots=True)
class Attempted:
    """Tell those who wait in `connect` how the attempt ended."""

    error: RealtimeError | None


@dataclass(frozen=True, slots=True)
class Answered:
    """Tell the one who waits in `request` how it ended."""

    id: Id
    result: object = None
    error: RealtimeError | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Tell those who iterate over messages that no more will come."""

    error: RealtimeError | None


WebSocketAction = (
    AskToken | OpenSocket | Close | Send | Emit | Deliver | Attempted | Answered | Finished
)
SSEAction = AskToken | OpenStream | Close | Emit | DeliverEvent
