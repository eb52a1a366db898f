"""The frames of ``/ws``: JSON text, `{"type", "payload", "timestamp"}` and maybe an `"id"`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from .describe import describe
from .errors import InvalidFrame
from .platform import Frame
from .strict_json import loads

Id = str | int


class Message(NamedTuple):
    """One frame. `timestamp` is in milliseconds since 1970; `id` is opaque."""

    type: str
    payload: Any
    timestamp: float | None = None
    id: Id | None = None

    def encode(self) -> str:
        """Return the frame's text. Raises InvalidFrame if the payload cannot be JSON."""
        frame = {"type": self.type, "payload": self.payload, "timestamp": self.timestamp}
        if self.id is not None:
            frame["id"] = self.id
        try:
            text = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            text.encode()  # half a surrogate pair would reach the server as another character
            return text
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidFrame(
                f"{self.type}: expected a payload that can be JSON, came {describe(self.payload)}"
                f" ({describe(str(error))})"
            ) from error

    def as_dict(self) -> dict[str, Any]:
        """Return the message as handlers of ``*`` get it: always all four keys."""
        return {
            "type": self.type,
            "payload": self.payload,
            "timestamp": self.timestamp,
            "id": self.id,
        }


def decode(frame: Frame) -> Message:
    """Read a frame. Raises InvalidFrame, and nothing else, whatever came.

    Keys that are not ours are left out; an absent payload is null; a timestamp that is no number
    counts as absent.
    """
    value = frame if type(frame) is dict else _parse(frame)
    get = value.get
    type_, id_, timestamp = get("type"), get("id"), get("timestamp")
    if type(type_) is not str or not type_:
        raise InvalidFrame(f"type: expected text, came {describe(type_)}")
    if id_ is not None and type(id_) is not str and as_id(id_) is None:
        raise InvalidFrame(f"id: expected text or a whole number, came {describe(id_)}")
    if type(timestamp) is not int and type(timestamp) is not float:
        timestamp = None
    # As Message(…) does, without the call of a function for it: this is the hot path.
    return tuple.__new__(Message, (type_, get("payload"), timestamp, id_))


def _parse(frame: Frame) -> dict[str, Any]:
    if not isinstance(frame, str):
        raise InvalidFrame(f"expected a text frame, came a binary one: {describe(frame)}")
    try:
        value = loads(frame)
    except ValueError as error:
        raise InvalidFrame(f"expected JSON, came {describe(frame)} ({error})") from None
    if not isinstance(value, dict):
        raise InvalidFrame(f"expected a JSON object, came {describe(value)}")
    return value


def as_id(value: object) -> Id | None:
    """Return `value` if it can be an id, else None."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    return None
