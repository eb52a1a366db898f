"""What a protocol asks its shell to do: one closed union for sockets, and one for event streams.

Fields that may hold a token are left out of the text form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import RealtimeError
from .messages import Id, Message


@dataclass(frozen=True, slots=True)
class AskProviders:
    """Ask for the URL and the token; answer with `provided` or `provider_failed`."""

    refused: bool = field(default=False, compare=False)
    """Whether the last token was."""


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Open a WebSocket; answer with `opened` or `closed`.

    `announce` says in the URL that a `resume` will come: the server then holds live messages back
    until it has, however long it takes.
    """

    announce: bool = False


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
    """Hand a frame to the socket."""

    frame: str | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Measure:
    """Look how much the socket holds back; answer with `buffered`."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the handlers of a lifecycle event."""

    type: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand messages to their handlers, one after another."""

    messages: list[Message]


@dataclass(frozen=True, slots=True)
class DeliverEvents:
    """Hand server-sent events to their handlers, as (name, data, id), one after another.

    The id is that of the stream at that event: "" as long as none came.
    """

    events: list[tuple[str, object, str]]


@dataclass(frozen=True, slots=True)
class Positioned:
    """An id came without an event, or word that all that was missed has been sent."""


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
class Resumed:
    """The server has sent all that was missed."""


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """The server has answered a frame that nobody here waits for."""

    message: Message


@dataclass(frozen=True, slots=True)
class Received:
    """Keep updates of a document, which the server sent and which are applied."""

    updates: list[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The server has so many more of a document's changes, for good."""

    count: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Tell those who iterate over messages that no more will come."""

    error: RealtimeError | None


WebSocketAction = (
    AskProviders
    | OpenSocket
    | Close
    | Send
    | Measure
    | Emit
    | Deliver
    | Attempted
    | Answered
    | Resumed
    | Unclaimed
    | Received
    | Confirmed
    | Finished
)
SSEAction = AskProviders | OpenStream | Close | Emit | DeliverEvents | Positioned
