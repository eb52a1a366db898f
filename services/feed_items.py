"""What the feeds show, made from payloads that may hold anything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .describe import describe
from .errors import InvalidFrame

NOTIFICATION_TYPES = frozenset({"info", "success", "warning", "error"})
LAST_TIMESTAMP = 253_402_300_799_999
"""The end of the year 9999, in milliseconds: the last that a calendar can show."""

_local_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Notification:
    """A card of the notification feed. `timestamp` is in milliseconds since 1970."""

    id: str
    type: str
    title: str
    message: str
    timestamp: float

    @classmethod
    def from_payload(cls, payload: object, now: float) -> Notification:
        """Take what is usable, and put something sensible in the place of the rest.

        `now` in milliseconds stands for a timestamp that is none. Raises InvalidFrame if
        `payload` is no object.
        """
        fields = _fields("notification", payload)
        type_ = fields.get("type")
        return cls(
            id=_id(fields.get("id")),
            type=type_ if isinstance(type_, str) and type_ in NOTIFICATION_TYPES else "info",
            title=_text(fields.get("title"), "Notification"),
            message=_text(fields.get("message"), ""),
            timestamp=_timestamp(fields.get("timestamp"), now),
        )


@dataclass(frozen=True, slots=True)
class Activity:
    """A line of the activity feed. `timestamp` is in milliseconds since 1970."""

    id: str
    user_id: str
    user_name: str
    action: str
    target: str
    timestamp: float

    @classmethod
    def from_payload(cls, payload: object, now: float) -> Activity:
        """Take what is usable, as `Notification.from_payload` does. Raises InvalidFrame."""
        fields = _fields("activity", payload)
        return cls(
            id=_id(fields.get("id")),
            user_id=_text(fields.get("userId"), ""),
            user_name=_text(fields.get("userName"), "Somebody"),
            action=_text(fields.get("action"), ""),
            target=_text(fields.get("target"), ""),
            timestamp=_timestamp(fields.get("timestamp"), now),
        )


def shorten(text: str, limit: int) -> str:
    """Return `text`, or its start and an ellipsis: at most `limit` characters."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def _fields(kind: str, payload: object) -> Mapping[str, Any]:
    if isinstance(payload, dict):
        return payload
    raise InvalidFrame(f"{kind}: expected an object, came {describe(payload)}")


def _id(value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return _text(value, "")
    return f"local-{next(_local_ids)}"


def _text(value: object, fallback: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return fallback
    if not isinstance(value, str):
        return describe(value)
    if not value.strip():
        return fallback
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair; nothing can show one.
        return value.encode("utf-8", "replace").decode()
    return value


def _timestamp(value: object, now: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return now
    return value if math.isfinite(value) and 0 < value <= LAST_TIMESTAMP else now
