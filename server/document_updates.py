"""What may be in an update, looked at before the document's library sees it.

The library (yrs) reads an update before it applies any of it, and refuses nonsense. But values
nested a hundred thousand deep overflow its stack, which ends the process, and so does deleting
types nested as deep; and what it takes, a client in JavaScript may not be able to read, or an
editor of plain text to show. The format is that of Yjs, version 1 (yjs/src/utils/encoding.js,
yjs/src/structs/): for each client its structs, then what is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.lib0 import MalformedError, Reader

#: Clocks count characters; yrs has 32 bits for them.
_MAX_CLOCK = 2**31

#: How deep a value may be nested.
_MAX_DEPTH = 64

#: Structs between two pauses: some milliseconds' work.
_PAUSE = 2000

# The lowest five bits of a struct's first byte say what it holds, the others what it stands by.
_GC = 0
_DELETED = 1
_JSON = 2
_BINARY = 3
_STRING = 4
_EMBED = 5
_FORMAT = 6
_TYPE = 7
_ANY = 8
_SUBDOCUMENT = 9
_SKIP = 10
_ORIGIN = 0x80
_RIGHT_ORIGIN = 0x40
_PARENT_KEY = 0x20

_REFUSED = {
    _EMBED: "an embedded object",
    _TYPE: "a type within a type",
    _SUBDOCUMENT: "a document within a document",
}


class Inspection:
    """Reads an update, and says what is special about it.

    Iterate it to the end: it stops now and then, so that a long update need not hold everybody
    up. Raises `MalformedError`, also for what documents here cannot hold.
    """

    def __init__(self, update: bytes) -> None:
        self._update = update
        #: Whether there is anything in it that takes up room in a text and is no text.
        self.is_mixed = False
        #: How much work it is, in structs and deleted ranges.
        self.size = 0

    def __iter__(self) -> Iterator[None]:
        reader = Reader(self._update)
        number = reader.number
        for _ in range(number()):
            count = number()
            if not count:
                raise MalformedError("expected structs of each client in the update")
            client, clock = number(), number()
            for _ in range(count):
                clock += self._struct(reader, client, clock)
                if clock > _MAX_CLOCK:
                    raise MalformedError("expected a clock below 2**31 in the update")
                self.size += 1
                if self.size % _PAUSE == 0:
                    yield
        for _ in range(number()):
            number()
            for _ in range(number()):
                if number() + _length(reader) > _MAX_CLOCK:
                    raise MalformedError("expected a clock below 2**31 in the update")
                self.size += 1
                if self.size % _PAUSE == 0:
                    yield
        reader.end()

    def _struct(self, reader: Reader, client: int, clock: int) -> int:
        """Read a struct; return how far it moves the clock."""

        def reference() -> None:
            # yrs waits for what a client has yet to send. Yjs takes it for something that is there.
            of, at = number(), number()
            if at > _MAX_CLOCK:
                raise MalformedError("expected a clock below 2**31 in the update")
            if of == client and at >= clock:
                raise MalformedError("expected a struct to refer to earlier ones in the update")

        number = reader.number
        info = reader.data[reader.position] if reader.position < len(reader.data) else 0
        reader.skip(1)
        if info in (_GC, _SKIP):
            return _length(reader)
        if info & _ORIGIN:
            reference()
        if info & _RIGHT_ORIGIN:
            reference()
        if not info & (_ORIGIN | _RIGHT_ORIGIN):
            if number():
                reader.skip(number())  # the name of a root type
            else:
                reference()  # the struct that holds the type
            if info & _PARENT_KEY:
                reader.skip(number())
        return self._content(reader, info & 31)

    def _content(self, reader: Reader, kind: int) -> int:
        number = reader.number
        if kind == _STRING:
            length = _length(reader)
            reader.skip(length)
            return _units(reader.data[reader.position - length : reader.position])
        if kind == _DELETED:
            return _length(reader)
        if kind == _FORMAT:
            reader.skip(number())  # the key
            reader.skip(number())  # the value, as JSON
            return 1
        count = 1
        if kind == _BINARY:
            reader.skip(number())
        elif kind == _JSON:
            count = _length(reader)
            for _ in range(count):
                reader.skip(number())
        elif kind == _ANY:
            count = _length(reader)
            for _ in range(count):
                _skip_value(reader, 0)
        else:
            what = _REFUSED.get(kind, f"content of type {kind}")
            raise MalformedError(f"expected text and plain values in the update, got {what}")
        self.is_mixed = True
        return count


def _length(reader: Reader) -> int:
    """Read how much there is of something: what there is none of, Yjs cannot read."""
    length = reader.number()
    if not length:
        raise MalformedError("expected nothing of length 0 in the update")
    return length


def _units(text: bytes) -> int:
    """Return how many UTF-16 code units a text in UTF-8 has: that is what Yjs counts in."""
    if text.isascii():
        return len(text)
    try:
        return len(text.decode().encode("utf-16-le")) // 2
    except UnicodeDecodeError:
        raise MalformedError("expected text to be UTF-8 in the update") from None


def _skip_value(reader: Reader, depth: int) -> None:
    """Pass over a value (lib0/encoding.js, `writeAny`)."""
    if depth > _MAX_DEPTH:
        raise MalformedError(f"expected values nested at most {_MAX_DEPTH} deep in the update")
    tag = reader.data[reader.position] if reader.position < len(reader.data) else 0
    reader.skip(1)
    match tag:
        case 127 | 126 | 121 | 120:  # undefined, null, false, true
            pass
        case 125:  # an integer, of which only the first byte differs from a number
            while reader.position < len(reader.data) and reader.data[reader.position] & 128:
                reader.skip(1)
            reader.skip(1)
        case 124:
            reader.skip(4)
        case 123 | 122:
            reader.skip(8)
        case 119 | 116:  # a string, bytes
            reader.skip(reader.number())
        case 118:
            for _ in range(reader.number()):
                reader.skip(reader.number())
                _skip_value(reader, depth + 1)
        case 117:
            for _ in range(reader.number()):
                _skip_value(reader, depth + 1)
        case _:
            raise MalformedError(f"expected a value in the update, got type {tag}")


def state_vector(data: bytes) -> dict[int, int]:
    """Read a state vector: each client's clock. Raises `MalformedError`."""
    reader = Reader(data)
    number = reader.number
    vector = {number(): number() for _ in range(number())}
    reader.end()
    return vector


def deleted(update: bytes) -> dict[int, int]:
    """Return, for an update without structs, up to which clock of each client it deletes."""
    reader = Reader(update)
    number = reader.number
    assert number() == 0
    ends = {}
    for _ in range(number()):
        client = number()
        ends[client] = max((number() + number() for _ in range(number())), default=0)
    return ends


def is_covered(vector: dict[int, int], by: dict[int, int]) -> bool:
    """Tell whether all that one state vector has, the other has, too."""
    return all(by.get(client, 0) >= clock for client, clock in vector.items())
