"""The frames of `/ws/documents`: those of y-protocols, each a message of its own.

y-websocket/src/y-websocket.js numbers the messages, y-protocols/sync.js the steps of the first;
y-protocols/awareness.js says what is in the second, y-protocols/auth.js what is in the third.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from server import lib0
from server.lib0 import MalformedError, Reader

_SYNC = 0
_AWARENESS = 1
_AUTH = 2
_QUERY_AWARENESS = 3

_STEP_1 = 0
_STEP_2 = 1
_UPDATE = 2

_PERMISSION_DENIED = 0

#: The update with nothing in it: no structs, no deletions.
EMPTY_UPDATE = b"\0\0"


class SyncStep1(NamedTuple):
    """What a client has, as a state vector. It wants the rest."""

    vector: bytes


class Update(NamedTuple):
    """A change, or all that the other side lacks (step 2)."""

    update: bytes


class Presence(NamedTuple):
    """What a client says of somebody: an entry of an awareness update."""

    client_id: int
    #: Counts what was said of this client.
    clock: int
    #: JSON; `null` for somebody who has gone.
    state: str


class Awareness(NamedTuple):
    """An awareness update."""

    entries: list[Presence]


class QueryAwareness(NamedTuple):
    """The client wants to be told everybody's state."""


Frame = SyncStep1 | Update | Awareness | QueryAwareness


def parse(data: bytes) -> Frame:
    """Read a client's frame; raises `MalformedError`."""
    reader = Reader(data)
    kind = reader.number()
    frame: Frame
    if kind == _SYNC:
        frame = _parse_sync(reader)
    elif kind == _AWARENESS:
        frame = Awareness(_parse_awareness(reader.bytes()))
    elif kind == _QUERY_AWARENESS:
        frame = QueryAwareness()
    else:
        raise MalformedError(f"expected a message of type 0, 1 or 3, got {kind}")
    reader.end()
    return frame


def _parse_sync(reader: Reader) -> Frame:
    step = reader.number()
    if step == _STEP_1:
        return SyncStep1(reader.bytes())
    if step in (_STEP_2, _UPDATE):
        return Update(reader.bytes())
    raise MalformedError(f"expected a sync message of type 0, 1 or 2, got {step}")


def _parse_awareness(data: bytes) -> list[Presence]:
    reader = Reader(data)
    entries = [
        Presence(reader.number(), reader.number(), reader.text()) for _ in range(reader.number())
    ]
    reader.end()
    return entries


def sync_step_1(vector: bytes) -> bytes:
    """Return the frame that asks for what a state vector lacks."""
    return bytes((_SYNC, _STEP_1)) + lib0.sized(vector)


def sync_step_2(update: bytes) -> bytes:
    """Return the frame that answers a step 1."""
    return bytes((_SYNC, _STEP_2)) + lib0.sized(update)


def update(data: bytes) -> bytes:
    """Return the frame that passes a change on."""
    return bytes((_SYNC, _UPDATE)) + lib0.sized(data)


def awareness(entries: Iterable[Presence]) -> bytes:
    """Return the frame that tells clients' states."""
    parts = [
        lib0.number(entry.client_id) + lib0.number(entry.clock) + lib0.sized(entry.state.encode())
        for entry in entries
    ]
    return bytes((_AWARENESS,)) + lib0.sized(lib0.number(len(parts)) + b"".join(parts))


def permission_denied(reason: str) -> bytes:
    """Return the frame that refuses a client's changes."""
    return bytes((_AUTH, _PERMISSION_DENIED)) + lib0.sized(reason.encode())
