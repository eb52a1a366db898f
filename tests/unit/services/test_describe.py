from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.describe import describe


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        ("x", "'x'"),
        ({"a": 1}, "an object with 1 keys"),
        ([1, 2], "an array of 2"),
        (b"abc", "3 bytes"),
        (object(), "a value of type object"),
    ],
)
def test_what_it_says(value, text):
    assert describe(value) == text


def test_a_number_too_long_to_print():
    assert describe(1 << 16609) == "an integer of 16610 bits"


@given(st.text(max_size=1000) | st.integers() | st.floats() | st.binary())
def test_it_is_never_long(value):
    assert len(describe(value)) < 1000
    assert len(describe("x" * 10**6)) < 120
