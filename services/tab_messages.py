"""What tabs say to one another: JSON objects, and nothing in them is trusted before it is checked.

    {"schema": 1, "type": …, "payload": …, "timestamp": ms, "tabId": …, "to": … or absent}

A page of another version of the application may be open in another tab. What it says with another
`schema` is told as an error, not guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .describe import describe
from .errors import InvalidFrame, NotCloneable
from .strict_json import loads

SCHEMA = 1
LARGEST = 16 * 1024 * 1024
"""Characters of a message. More in one piece would hold up every tab."""

LONGEST_NAME = 200


class TabMessage(NamedTuple):
    """One message. `to` is the one tab it is for, or None for all."""

    type: str
    payload: Any
    timestamp: float
    tab_id: str
    to: str | None = None

    def encode(self) -> str:
        """Return its JSON text. Raises NotCloneable where the payload cannot be JSON."""
        value = {
            "schema": SCHEMA,
            "type": self.type,
            "payload": self.payload,
            "timestamp": self.timestamp,
            "tabId": self.tab_id,
        }
        if self.to is not None:
            value["to"] = self.to
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            text.encode()  # half a surrogate pair would arrive as another character
        except (TypeError, ValueError, RecursionError) as error:
            raise NotCloneable(
                f"{self.type}: expected a payload that can be JSON, came {describe(self.payload)}"
                f" ({describe(str(error))})"
            ) from error
        if len(text) > LARGEST:
            raise NotCloneable(
                f"{self.type}: expected at most {LARGEST} characters, came {len(text)}"
            )
        return text


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a tab says of itself. `since` is in milliseconds since 1970."""

    title: str
    since: float
    visible: bool

    def as_payload(self) -> dict[str, Any]:
        """Return it as it is sent."""
        return {"title": self.title, "since": self.since, "visible": self.visible}

    @classmethod
    def from_payload(cls, payload: object) -> Introduction:
        """Read it. Raises InvalidFrame."""
        fields = object_of("introduction", payload)
        title, since, visible = fields.get("title"), fields.get("since"), fields.get("visible")
        if not isinstance(title, str):
            raise InvalidFrame(f"title: expected text, came {describe(title)}")
        if not isinstance(since, (int, float)) or isinstance(since, bool):
            raise InvalidFrame(f"since: expected a number, came {describe(since)}")
        if not isinstance(visible, bool):
            raise InvalidFrame(f"visible: expected true or false, came {describe(visible)}")
        return cls(title[:LONGEST_NAME], since, visible)


def decode(text: str | None) -> TabMessage:
    """Read a message. Raises InvalidFrame, and nothing else, whatever came."""
    if text is None:
        raise InvalidFrame("expected a message that can be JSON, came something else")
    if len(text) > LARGEST:
        raise InvalidFrame(f"expected at most {LARGEST} characters, came {len(text)}")
    try:
        value = loads(text)
    except ValueError as error:
        raise InvalidFrame(f"expected JSON, came {describe(text)} ({error})") from None
    fields = object_of("message", value)
    schema = fields.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        raise InvalidFrame(
            f"expected a message of schema {SCHEMA}, came one of {describe(schema)}:"
            " another version of the page is open"
        )
    timestamp = fields.get("timestamp")
    if not isinstance(timestamp, (int, float)) or isinstance(timestamp, bool):
        timestamp = 0
    to = fields.get("to")
    return TabMessage(
        name_of("type", fields.get("type")),
        fields.get("payload"),
        timestamp,
        name_of("tabId", fields.get("tabId")),
        None if to is None else name_of("to", to),
    )


def object_of(what: str, value: object) -> Mapping[str, Any]:
    """Return `value` if it is an object. Raises InvalidFrame."""
    if isinstance(value, dict):
        return value
    raise InvalidFrame(f"{what}: expected an object, came {describe(value)}")


def name_of(what: str, value: object) -> str:
    """Return `value` if it is text that is neither empty nor long. Raises InvalidFrame."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME:
        return value
    raise InvalidFrame(
        f"{what}: expected text of 1 to {LONGEST_NAME} characters, came {describe(value)}"
    )
