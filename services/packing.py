"""Data on its way to a worker and back, as buffers that are transferred, never cloned.

| layout    | buffers                                                                        |
|-----------|--------------------------------------------------------------------------------|
| `value`   | one, `marshal` of any value that it knows                                       |
| `rows`    | one for each `CHUNK` rows, `marshal` of a list of them                           |
| `columns` | one for each `CHUNK` rows, `marshal` of a list with one list for each column    |
| `indices` | one, row numbers as 32-bit integers of the machine's byte order                 |

Both ends run the same interpreter, so `marshal` fits, and it is exact: integers of any size, NaN,
None, booleans and text come out as they went in. A column without its field is None there, and
what has a buffer, as an array has, comes out as bytes.
Between the chunks of long data the page may live for a moment.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from .describe import describe
from .errors import InvalidCall, NotTransferable

CHUNK = 32_768
"""Rows that are packed, or picked, without a pause: some 3 to 12 ms."""

SHARES = 4
"""`marshal` format that writes a value once which occurs often, as the keys of rows do."""

PLAIN = 2
"""`marshal` format that does not look for such: a column is packed in a third of the time."""

KNOWN = "None, booleans, numbers, text, bytes, and lists, tuples, sets and dicts of these"
NAMED = 20

Pause = Callable[[], Awaitable[None]]
"""Lets the page live for a moment."""

Row = dict[str, Any]


class Indices(list[int]):
    """An operation's result that says which of the rows it was given, and in what order."""


def pack(value: Any) -> bytes:
    """Return a value as a buffer. Raises NotTransferable if it holds what `marshal` refuses."""
    return _dumps(value, SHARES)


def unpack(buffers: Sequence[bytes]) -> Any:
    """Return the value of one buffer. Raises NotTransferable if it is damaged."""
    if len(buffers) != 1:
        raise NotTransferable(f"a value: expected one buffer, came {len(buffers)}")
    return _loads(buffers[0])


async def pack_rows(rows: Sequence[Row], pause: Pause) -> list[bytes]:
    """Return rows as buffers. Raises NotTransferable."""
    return [_dumps(chunk, SHARES) async for chunk in chunks(rows, pause)]


async def pack_columns(rows: Sequence[Row], names: Sequence[str], pause: Pause) -> list[bytes]:
    """Return some columns of the rows as buffers.

    Raises InvalidCall if no row has one of them, NotTransferable if a row is no dict.
    """
    packed = []
    absent = set(names)
    seen = 0
    async for chunk in chunks(rows, pause):
        columns = []
        for name in names:
            column, is_there = _column(chunk, name, seen)
            columns.append(column)
            if is_there:
                absent.discard(name)
        packed.append(_dumps(columns, PLAIN))
        seen += len(chunk)
    if absent and rows:
        raise unknown_field(min(absent), rows)
    return packed


def unpack_rows(buffers: Sequence[bytes]) -> list[Any]:
    """Return what `pack_rows` packed."""
    rows: list[Any] = []
    for buffer in buffers:
        rows += _loads(buffer)
    return rows


def unpack_columns(buffers: Sequence[bytes], count: int) -> list[list[Any]]:
    """Return what `pack_columns` packed: `count` columns, each as long as there were rows."""
    columns: list[list[Any]] = [[] for _ in range(count)]
    for buffer in buffers:
        for column, part in zip(columns, _loads(buffer), strict=True):
            column += part
    return columns


def pack_indices(indices: Sequence[int]) -> bytes:
    """Return row numbers as a buffer."""
    return array("I", indices).tobytes()


async def pick(rows: Sequence[Row], buffers: Sequence[bytes], pause: Pause) -> list[Row]:
    """Return the rows of a buffer of `pack_indices`. Raises NotTransferable if one is not there."""
    indices = array("I")
    if not isinstance(rows, (list, tuple)):
        raise NotTransferable(f"row numbers: expected none without rows, came {describe(rows)}")
    try:
        indices.frombytes(b"".join(buffers))
        return [rows[index] async for chunk in chunks(indices, pause) for index in chunk]
    except (ValueError, IndexError) as error:
        raise NotTransferable(f"row numbers: expected some below {len(rows)} ({error})") from None


async def chunks(rows: Sequence[Any], pause: Pause) -> AsyncIterator[Sequence[Any]]:
    """Yield the rows a chunk at a time, with a pause before each but the first."""
    for start in range(0, len(rows), CHUNK):
        if start:
            await pause()
        yield rows[start : start + CHUNK] if len(rows) > CHUNK else rows


def unknown_field(name: str, rows: Sequence[Any]) -> InvalidCall:
    """Return the error that says which fields there are."""
    known: dict[str, None] = {}
    for row in rows[:1000]:
        known.update(dict.fromkeys(row))
    there = [str(field) for field in known][:NAMED]
    more = f" … ({len(known)})" if len(known) > NAMED else ""
    return InvalidCall(
        f"field: expected one of {', '.join(there) or 'none at all'}{more}, came {describe(name)}"
    )


def check_rows(data: object) -> Sequence[Row]:
    """Return `data` if it is a list or tuple of dicts, else raise NotTransferable.

    Only the first row is looked at here; whoever meets another says so then.
    """
    if not isinstance(data, (list, tuple)):
        raise NotTransferable(f"data: expected a list of rows, came {describe(data)}")
    if data and not isinstance(data[0], Mapping):
        raise no_row(0, data[0])
    return data


def no_row(number: int, value: object) -> NotTransferable:
    """Return the error for a row that is none."""
    return NotTransferable(f"row {number}: expected a dict, came {describe(value)}")


def _column(rows: Sequence[Row], name: str, first: int) -> tuple[list[Any], bool]:
    """Return a column, and whether any row has it; `first` is the number of the first row."""
    try:
        try:
            return [row[name] for row in rows], True
        except KeyError:
            return [row.get(name) for row in rows], any(name in row for row in rows)
    except (TypeError, AttributeError):
        bad = next((n, row) for n, row in enumerate(rows, first) if not isinstance(row, Mapping))
        raise no_row(*bad) from None


def _dumps(value: Any, version: int) -> bytes:
    try:
        return marshal.dumps(value, version)
    except (ValueError, RecursionError, UnicodeError) as error:
        raise NotTransferable(f"expected {KNOWN}, came {_stranger(value) or error}") from None


def _loads(buffer: bytes) -> Any:
    try:
        return marshal.loads(buffer)  # noqa: S302 - of our own worker, the same interpreter
    except (ValueError, EOFError, TypeError) as error:
        raise NotTransferable(f"expected packed data, came {len(buffer)} bytes ({error})") from None


def _stranger(value: Any) -> str:
    """Return what in `value` cannot be packed, and where; "" if it cannot be found."""
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    seen = 0
    while waiting and seen < 100_000:
        place, each, depth = waiting.pop()
        seen += 1
        if depth > 100:
            return "values nested deeper than 100"
        inner: list[tuple[str, Any]] = []
        if type(each) is dict:
            inner = [(f"{place}[{describe(key)}]"[:120], child) for key, child in each.items()]
            inner += [(f"a key of {place or 'it'}", key) for key in each]
        elif type(each) in (list, tuple, set, frozenset):
            inner = [(f"{place}[{n}]"[:120], child) for n, child in enumerate(each)]
        else:
            try:
                marshal.dumps(each)
            except (ValueError, UnicodeError):
                return f"{describe(each)}{place and f' at {place}'}"
        waiting += [(place, child, depth + 1) for place, child in reversed(inner)]
    return ""
