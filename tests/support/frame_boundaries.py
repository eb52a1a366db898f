"""Where the frames of a WebSocket, or the events of a stream, begin and end in its bytes."""

from __future__ import annotations

import re

_CHUNK = re.compile(rb"(?:\r\n)?[0-9a-fA-F]+\r\n")


class Boundaries:
    """Finds where frames begin and end in bytes that come in pieces."""

    def __init__(self) -> None:
        # Bytes of the past whose frame is not known yet, and bytes to come of one that is.
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> int:
        """Go on past `data`; return how many frames end in it."""
        spans, at = self._spans(data)
        self._left = max(0, at - len(data))
        self._head = (self._head + data)[len(self._head) + at :] if at < len(data) else b""
        return sum(end <= len(data) for _, end in spans)

    def inside(self, data: bytes) -> list[range]:
        """Return the places in `data` that have a byte of a frame before and one after."""
        spans = self._spans(data)[0]
        ranges = (range(max(start + 1, 0), min(end, len(data) + 1)) for start, end in spans)
        return [places for places in ranges if places]

    def _spans(self, data: bytes) -> tuple[list[tuple[int, int]], int]:
        """Return (start, end) of each frame, counted from where `data` begins, and the last end.

        A frame that began earlier has a negative start.
        """
        at, past = self._left, len(self._head)
        spans = [(-1, at)] if at else []
        at -= past
        buffer = self._head + data
        while (found := self._next(buffer, at + past)) is not None:
            start, end = found[0] - past, found[1] - past
            spans.append((start, end))
            at = end
        return spans, at

    def _next(self, buffer: bytes, at: int) -> tuple[int, int] | None:
        raise NotImplementedError


class FrameBoundaries(Boundaries):
    """WebSocket frames: RFC 6455 §5.2."""

    def _next(self, buffer: bytes, at: int) -> tuple[int, int] | None:
        if len(buffer) < at + 2:
            return None
        masked, size = divmod(buffer[at + 1], 128)
        extended = {126: 2, 127: 8}.get(size, 0)
        body = at + 2 + extended
        if len(buffer) < body:
            return None
        if extended:
            size = int.from_bytes(buffer[at + 2 : body], "big")
        return at, body + 4 * masked + size


class EventBoundaries(Boundaries):
    """Server-sent events and comments, each of which ends with a blank line."""

    def _next(self, buffer: bytes, at: int) -> tuple[int, int] | None:
        end = buffer.find(b"\n\n", at) + 2
        if end < 2:
            return None
        # Where the event itself begins, past the framing of its HTTP chunk.
        chunk = _CHUNK.match(buffer, at)
        return (at if chunk is None else chunk.end()), end
