from __future__ import annotations

import re

import pytest

from services.times import relative_time

NOW = 1_700_000_000_000
MINUTE = 60_000


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [
        (-(10**9), "Just now"),
        (0, "Just now"),
        (MINUTE - 1, "Just now"),
        (MINUTE, "1m ago"),
        (5 * MINUTE + 59_999, "5m ago"),
        (60 * MINUTE - 1, "59m ago"),
        (60 * MINUTE, "1h ago"),
        (24 * 60 * MINUTE - 1, "23h ago"),
    ],
)
def test_relative_time(elapsed, text):
    assert relative_time(NOW - elapsed, NOW) == text


def test_a_day_later_it_is_a_date():
    assert re.fullmatch(r"2023-11-1\d", relative_time(NOW - 24 * 60 * MINUTE, NOW))
