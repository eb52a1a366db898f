from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import lib0
from server.lib0 import MAX_NUMBER, MalformedError, Reader


@given(st.integers(0, MAX_NUMBER), st.binary())
def test_what_is_written_is_read(number: int, data: bytes) -> None:
    reader = Reader(lib0.number(number) + lib0.sized(data))
    assert (reader.number(), reader.bytes()) == (number, data)
    reader.end()


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 8, b"\xff" * 7 + b"\x10", b"\x80" * 1000])
def test_no_number(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Reader(data).number()


def test_the_examples_of_lib0() -> None:
    # lib0/encoding.js: 300 is 0b1_0010_1100, in groups of seven bits.
    assert lib0.number(300) == b"\xac\x02"
    assert lib0.number(MAX_NUMBER) == b"\xff" * 7 + b"\x0f"


@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    for read in (Reader.number, Reader.bytes, Reader.text):
        reader = Reader(data)
        try:
            read(reader)
            assert 0 < reader.position <= len(data)
        except MalformedError:
            pass


def test_what_remains() -> None:
    with pytest.raises(MalformedError, match="no more"):
        Reader(b"\0").end()
