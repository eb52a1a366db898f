"""Rows as tests make them: empty, alone, with fields missing, of every kind of value."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from workers.tables import RowTable

INTEGERS = st.integers(-5, 5) | st.integers() | st.sampled_from([10**400, -(10**400), 2**53 + 1])
FLOATS = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1.5, 5e-324, 1.7e308])
NUMBERS = st.booleans() | INTEGERS | FLOATS
TEXTS = st.text(st.characters(), max_size=3) | st.sampled_from(["", "a", "Ä", "ab", "\ud800"])
OTHERS = st.lists(st.integers(0, 2), max_size=2) | st.dictionaries(TEXTS, st.integers(0, 1))
VALUES = st.none() | NUMBERS | TEXTS | OTHERS
FIELDS = ["a", "b", "ö"]


def rows_of(values=VALUES, max_size=12):
    """Rows whose fields may be missing."""
    one_kind = st.sampled_from([NUMBERS, TEXTS, st.integers(0, 3), OTHERS]).flatmap(
        lambda kind: st.lists(st.fixed_dictionaries({"a": kind}, optional={"b": kind}))
    )
    mixed = st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, values)), max_size=max_size
    )
    return mixed | one_kind if values is VALUES else mixed


ROWS = rows_of()


def table_of(rows):
    """A table in which every field is known."""
    table = RowTable(list(rows))
    table.append([dict.fromkeys(FIELDS)])
    table.rows.pop()  # had once: it would be a None in every column
    return table


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def is_number(value):
    return isinstance(value, (int, float))
