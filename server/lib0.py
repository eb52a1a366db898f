"""lib0's binary encoding, in which Yjs writes everything: numbers, and what their length precedes.

A number is written in groups of seven bits, the lowest first; each byte but the last has its
highest bit set (lib0/encoding.js, `writeVarUint`).
"""

from __future__ import annotations

#: The largest number that JavaScript reads exactly; lib0 refuses those beyond it.
MAX_NUMBER = 2**53 - 1


class MalformedError(ValueError):
    """Bytes are not what they should be; the message says what was expected."""


class Reader:
    """Reads from the beginning of `data` on; everything raises `MalformedError`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        #: Where the next thing begins.
        self.position = 0

    def number(self) -> int:
        """Read a number from 0 to 2**53 - 1."""
        data, position = self.data, self.position
        try:
            byte = data[position]
            position += 1
            if byte < 128:
                self.position = position
                return byte
            value, shift = byte & 127, 7
            while True:
                byte = data[position]
                position += 1
                value |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
                if shift > 49:
                    raise MalformedError("expected a number below 2**53")
        except IndexError:
            raise MalformedError("expected more bytes") from None
        if value > MAX_NUMBER:
            raise MalformedError("expected a number below 2**53")
        self.position = position
        return value

    def skip(self, count: int) -> None:
        """Pass over so many bytes."""
        position = self.position + count
        if position > len(self.data):
            raise MalformedError("expected more bytes")
        self.position = position

    def bytes(self) -> bytes:
        """Read bytes that their number precedes."""
        count = self.number()
        start = self.position
        self.skip(count)
        return self.data[start : self.position]

    def text(self) -> str:
        """Read a string."""
        try:
            return self.bytes().decode()
        except UnicodeDecodeError:
            raise MalformedError("expected text in UTF-8") from None

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.position != len(self.data):
            raise MalformedError("expected no more bytes")


def number(value: int) -> bytes:
    """Write a number."""
    if value < 128:
        return bytes((value,))
    groups = bytearray()
    while value > 127:
        groups.append(128 | value & 127)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def sized(data: bytes) -> bytes:
    """Write bytes, their number before them."""
    return number(len(data)) + data
