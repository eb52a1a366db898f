"""The frames of the y-websocket protocol: one closed union, and nothing in them is trusted.

    frame    = 0 sync | 1 awareness | 2 auth | 3          (y-websocket, src/y-websocket.js)
    sync     = 0 vector | 1 update | 2 update             (y-protocols, sync.js)
    auth     = 0 reason                                   (y-protocols, auth.js)

Numbers are unsigned, seven bits to a byte, the lowest first (lib0, ``encoding.writeVarUint``);
vectors, updates and texts are preceded by their length in bytes. Vectors and updates are opaque
here: only a replica can tell whether they are good.
"""

from __future__ import annotations

from typing import NamedTuple

from .describe import describe
from .errors import InvalidFrame

SYNC, AWARENESS, AUTH, QUERY_AWARENESS = 0, 1, 2, 3
STEP_1, STEP_2, UPDATE = 0, 1, 2
PERMISSION_DENIED = 0

LONGEST_NUMBER = 8
"""Bytes. lib0 has no number above 2⁵³ - 1, which takes eight."""


class SyncStep1(NamedTuple):
    """Tell me what a replica with this state vector lacks."""

    vector: bytes


class SyncStep2(NamedTuple):
    """This is what you lack: an update. The answer to `SyncStep1`."""

    update: bytes


class Update(NamedTuple):
    """This has changed."""

    update: bytes


class Awareness(NamedTuple):
    """Who is there, and where: an awareness update."""

    update: bytes


class QueryAwareness(NamedTuple):
    """Tell me who is there."""


class PermissionDenied(NamedTuple):
    """Why the server takes no changes, in words."""

    reason: str


YMessage = SyncStep1 | SyncStep2 | Update | Awareness | QueryAwareness | PermissionDenied


def encode(message: YMessage) -> bytes:
    """Return the frame."""
    match message:
        case SyncStep1(vector):
            return bytes((SYNC, STEP_1)) + with_length(vector)
        case SyncStep2(update):
            return bytes((SYNC, STEP_2)) + with_length(update)
        case Update(update):
            return bytes((SYNC, UPDATE)) + with_length(update)
        case Awareness(update):
            return bytes((AWARENESS,)) + with_length(update)
        case QueryAwareness():
            return bytes((QUERY_AWARENESS,))
        case PermissionDenied(reason):
            return bytes((AUTH, PERMISSION_DENIED)) + with_length(reason.encode("utf-8", "replace"))


def decode(frame: bytes) -> YMessage:
    """Read a frame. Raises InvalidFrame, and nothing else, whatever came."""
    kind, at = read_number(frame, 0)
    message: YMessage
    if kind == SYNC:
        step, at = read_number(frame, at)
        if step not in (STEP_1, STEP_2, UPDATE):
            raise InvalidFrame(f"sync message: expected 0, 1 or 2, came {step}")
        content, at = _read_bytes(frame, at)
        message = (SyncStep1, SyncStep2, Update)[step](content)
    elif kind == AWARENESS:
        content, at = _read_bytes(frame, at)
        message = Awareness(content)
    elif kind == AUTH:
        what, at = read_number(frame, at)
        if what != PERMISSION_DENIED:
            raise InvalidFrame(f"auth message: expected 0, came {what}")
        content, at = _read_bytes(frame, at)
        message = PermissionDenied(content.decode("utf-8", "replace"))
    elif kind == QUERY_AWARENESS:
        message = QueryAwareness()
    else:
        raise InvalidFrame(f"frame: expected type 0, 1, 2 or 3, came {kind}")
    if at != len(frame):
        raise InvalidFrame(f"frame: expected {at} bytes, came {len(frame)}")
    return message


def number(value: int) -> bytes:
    """Return a number as lib0 writes it."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def with_length(content: bytes) -> bytes:
    """Return `content`, preceded by its length."""
    return number(len(content)) + content


def read_number(frame: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, and where it ends. Raises InvalidFrame."""
    value = shift = 0
    for position in range(at, min(at + LONGEST_NUMBER, len(frame))):
        byte = frame[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    came = describe(frame[at : at + LONGEST_NUMBER])
    raise InvalidFrame(f"frame: expected a number at byte {at}, came {came}")


def read_vector(vector: bytes) -> dict[int, int]:
    """Return a state vector as the number of changes by client id. Raises InvalidFrame."""
    count, at = read_number(vector, 0)
    clocks: dict[int, int] = {}
    for _ in range(min(count, len(vector))):
        client, at = read_number(vector, at)
        clocks[client], at = read_number(vector, at)
    if len(clocks) != count or at != len(vector):
        raise InvalidFrame(f"state vector: expected {count} clients, came {len(vector)} bytes")
    return clocks


def lacks(mine: bytes, theirs: bytes) -> bool:
    """Return whether a replica with the vector `theirs` has what one with `mine` has not.

    Deletions do not count: a state vector does not tell of them. Raises InvalidFrame.
    """
    clocks = read_vector(mine)
    return any(clock > clocks.get(client, 0) for client, clock in read_vector(theirs).items())


def _read_bytes(frame: bytes, at: int) -> tuple[bytes, int]:
    length, at = read_number(frame, at)
    end = at + length
    if end > len(frame):
        raise InvalidFrame(f"frame: expected {length} bytes more, came {len(frame) - at}")
    return frame[at:end], end
