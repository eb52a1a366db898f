"""The sockets' text frames, and the codes they are closed with. docs/protocol.md lists them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from starlette.types import Message

from server.clock import now
from server.event_log import Event
from server.validation import parse_json

#: The largest frame a client may send, in bytes.
MAX_FRAME = 1024 * 1024

# Close codes: RFC 6455 §7.4.1, the IANA registry, and 4000–4999 for private use (§7.4.2).
MESSAGE_TOO_BIG = 1009
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
BAD_FRAME = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
TOO_LARGE = 4413


class CloseError(Exception):
    """The connection is to be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        # A close frame has room for 123 bytes of reason (RFC 6455 §5.5); ours are ASCII.
        super().__init__(reason[:123])
        self.code = code


class ClientFrame(NamedTuple):
    """A well-formed frame from a client."""

    type: str
    payload: Any
    id: str | int | None


def parse(message: Message) -> ClientFrame:
    """Read an ASGI `websocket.receive` message; raises `CloseError`."""
    text = message.get("text")
    if text is None:
        raise CloseError(BAD_FRAME, "expected a text frame, got a binary one")
    # uvicorn's own limit is larger (see __main__). No text has fewer bytes than characters.
    if len(text) > MAX_FRAME or len(text.encode()) > MAX_FRAME:
        raise CloseError(MESSAGE_TOO_BIG, f"expected at most {MAX_FRAME} bytes")
    try:
        frame = parse_json(text)
    except ValueError:
        raise CloseError(BAD_FRAME, "expected a JSON object, got text that is not JSON") from None
    if not isinstance(frame, dict):
        raise CloseError(BAD_FRAME, "expected a JSON object, got another JSON value")
    kind, frame_id = frame.get("type"), frame.get("id")
    if not isinstance(kind, str):
        raise CloseError(BAD_FRAME, 'expected a string as "type"')
    if not _is_id(frame_id):
        raise CloseError(BAD_FRAME, 'expected a string of at most 200 characters as "id"')
    return ClientFrame(kind, frame.get("payload"), frame_id)


def encode(
    kind: str, payload: Any, *, timestamp: int | None = None, event_id: str | None = None
) -> str:
    """Return a server frame, stamped with the present time unless it has one."""
    frame = {"type": kind, "payload": payload, "timestamp": timestamp or now()}
    if event_id is not None:
        frame["id"] = event_id
    return json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_event(event: Event) -> str:
    """Return the frame that carries an event of the log."""
    return encode(event.type, event.payload, timestamp=event.timestamp, event_id=str(event.id))


def resume_point(payload: Any) -> str | None:
    """Return the id that a `resume` names: None for now, and "", which is no id, for nonsense."""
    after = payload.get("after") if isinstance(payload, dict) else payload
    if after is None:
        return None
    return after if isinstance(after, str) and isinstance(payload, dict) else ""


def application_key(user_id: str | None, frame: ClientFrame) -> str | None:
    """Return what a frame is applied once by: its id among its user's, or among all guests'.

    As JSON, in which 1 and "1" differ.
    """
    return None if frame.id is None else json.dumps([user_id, frame.id], ensure_ascii=False)


def _is_id(value: object) -> bool:
    """Tell whether a client may call a frame so: it has to come back unchanged."""
    if isinstance(value, str):
        # A lone surrogate cannot be sent back.
        return len(value) <= 200 and not any("\ud800" <= c <= "\udfff" for c in value)
    # Beyond 2**53 JavaScript's numbers are no longer exact.
    return value is None or (type(value) is int and abs(value) <= 2**53)
