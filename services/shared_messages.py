"""What the tabs of a shared connection say to one another: one closed set, checked when it comes.

A *link* is what a tab has in the place of a socket: to the tab that leads, which has the socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .describe import describe
from .errors import InvalidFrame
from .messages import Id, as_id
from .recent import Item
from .tab_messages import object_of


@dataclass(frozen=True, slots=True)
class Join:
    """To the leader: open a link; `after` is the last message that came here."""

    link: int
    after: Id | None


@dataclass(frozen=True, slots=True)
class Insist:
    """To the leader: somebody wants a connection now, whatever it waits for."""

    link: int


@dataclass(frozen=True, slots=True)
class Probe:
    """To the leader: are you there, and do you know this link? It answers with its status."""

    link: int


@dataclass(frozen=True, slots=True)
class Up:
    """To the leader: frames for the server."""

    link: int
    frames: list[str]


@dataclass(frozen=True, slots=True)
class Leave:
    """To the leader: the link is closed."""

    link: int


@dataclass(frozen=True, slots=True)
class Opened:
    """To one tab: its link leads to an open connection; `position` is an event stream's.

    `relay` tells one time of leading from another: what is told to all counts if it has the same.
    """

    link: int
    relay: int
    position: str = ""


@dataclass(frozen=True, slots=True)
class Down:
    """To one tab: messages for its link alone. From a `live` one on, what all are told counts."""

    link: int
    items: list[Item]
    live: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """To one tab: of what its link has sent, so many characters have gone to the socket."""

    link: int
    amount: int


@dataclass(frozen=True, slots=True)
class Closed:
    """To one tab: its link is closed, as a socket is, or as a stream (then `code` is a status)."""

    link: int
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Live:
    """To all tabs: messages from the server."""

    relay: int
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Status:
    """To all tabs: how the connection stands; as ``connection_stats`` has it."""

    state: str
    attempts: int
    close_code: int | None
    close_reason: str | None
    round_trip: float | None


Request = Join | Insist | Probe | Up | Leave
News = Opened | Down | Taken | Closed | Live | Status
SharedMessage = Request | News

KINDS: dict[str, type[SharedMessage]] = {
    kind.__name__.lower(): kind
    for kind in (Join, Insist, Probe, Up, Leave, Opened, Down, Taken, Closed, Live, Status)
}


def encode(message: SharedMessage) -> dict[str, Any]:
    """Return a message as a payload."""
    kind = type(message)
    fields = {field: getattr(message, field) for field in kind.__annotations__}
    return {"kind": kind.__name__.lower(), **fields}


def decode(payload: object) -> SharedMessage:
    """Read a payload. Raises InvalidFrame, and nothing else, whatever came."""
    fields = dict(object_of("connection", payload))
    name = fields.pop("kind", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidFrame(f"kind: expected one of {', '.join(KINDS)}, came {describe(name)}")
    annotations = kind.__annotations__
    if fields.keys() != annotations.keys():
        raise InvalidFrame(
            f"{name}: expected {', '.join(annotations)}, came {describe(', '.join(fields))}"
        )
    for field, annotation in annotations.items():
        expected, is_one = CHECKS[annotation]
        if not is_one(fields[field]):
            raise InvalidFrame(
                f"{name} {field}: expected {expected}, came {describe(fields[field])}"
            )
    return kind(**fields)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_item(value: object) -> bool:
    if not isinstance(value, dict) or "id" not in value:
        return False
    return value["id"] is None or as_id(value["id"]) is not None


def _list_of(is_one: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(is_one, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


CHECKS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "int": ("a whole number", _is_whole),
    "str": ("text", _is_text),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "Id | None": ("an id or null", lambda value: value is None or as_id(value) is not None),
    "list[str]": ("an array of texts", _list_of(_is_text)),
    "list[Item]": ("an array of messages", _list_of(_is_item)),
    "int | None": ("a whole number or null", lambda value: value is None or _is_whole(value)),
    "str | None": ("text or null", lambda value: value is None or _is_text(value)),
    "float | None": (
        "a number or null",
        lambda value: (
            value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
        ),
    ),
}
"""What a field may hold, by its annotation."""
