from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidCall
from tests.unit.workers.rows import FIELDS, ROWS, is_nan, is_number, table_of
from workers.ordering import MOST_KEYS, is_down, keys_of, ordered
from workers.values import are_rising, has_nan

KEYS = st.lists(st.tuples(st.sampled_from(FIELDS), st.booleans()), min_size=1, max_size=3)


def kind(value):
    """As `ordering` says: numbers, then text, then all else; what is missing comes last."""
    if value is None or is_nan(value):
        return 3
    return 0 if is_number(value) else 1 if isinstance(value, str) else 2


def compare(one, other, down):
    first, second = kind(one), kind(other)
    if 3 in (first, second):
        return first - second if 3 in (first, second) and first != second else 0
    if first != second:
        return second - first if down else first - second
    if first == 2 or one == other:
        return 0
    return (-1 if one < other else 1) * (-1 if down else 1)


def naive(rows, keys):
    """An insertion sort."""
    found = []
    for index, row in enumerate(rows):

        def before(at, row=row):
            for field, down in keys:
                if difference := compare(rows[at].get(field), row.get(field), down):
                    return difference <= 0
            return True

        place = 0
        while place < len(found) and before(found[place]):
            place += 1
        found.insert(place, index)
    return found


@given(ROWS, KEYS)
def test_rows_come_in_the_order_of_their_keys(rows, keys):
    table = table_of(rows)
    rows = table.rows
    assert ordered(table, keys) == naive(rows, keys)


@given(ROWS, KEYS, st.data())
def test_some_of_the_rows_come_in_the_same_order(rows, keys, data):
    table = table_of(rows)
    some = [n for n in range(len(rows)) if data.draw(st.booleans())]
    whole = ordered(table, keys)
    assert ordered(table, keys, some) == [n for n in whole if n in some]


@pytest.mark.parametrize("down", [False, True])
def test_what_is_missing_comes_last_in_either_direction(down):
    rows = [{"a": None}, {}, {"a": math.nan}, {"a": 1}, {"a": "x"}, {"a": [1]}]
    assert ordered(table_of(rows), [("a", down)])[3:] == [0, 1, 2]


@pytest.mark.parametrize("down", [False, True])
def test_nan_comes_last_among_numbers_alone_and_does_not_disturb_them(down):
    rows = [{"a": value} for value in (3.0, math.nan, 1.0, math.nan, 2.0)]
    order = ordered(table_of(rows), [("a", down)])
    assert order == ([0, 4, 2, 1, 3] if down else [2, 4, 0, 1, 3])


@pytest.mark.parametrize("more", [[], [{"a": None}], [{"a": 1}]], ids=str)
def test_what_is_neither_number_nor_text_stays_in_the_order_it_came_in(more):
    rows = [{"a": [3]}, {"a": [1]}, {"a": [2]}, *more]
    for down in (False, True):
        order = ordered(table_of(rows), [("a", down)])
        assert [n for n in order if n < 3] == [0, 1, 2]


def test_equal_rows_keep_their_order_also_when_it_goes_down():
    rows = [{"a": 1, "n": n} for n in range(5)] + [{"a": True}, {"a": 1.0}, {"a": 2}]
    assert ordered(table_of(rows), [("a", True)])[:8] == [7, 0, 1, 2, 3, 4, 5, 6]


def test_text_is_ordered_by_code_points():
    words = ["b", "a", "Z", "ä", "z", "", "aa", "😀", "\uffff"]
    rows = [{"a": word} for word in words]
    found = [words[n] for n in ordered(table_of(rows), [("a", False)])]
    assert found == ["", "Z", "a", "aa", "b", "z", "ä", "\uffff", "😀"]


def test_nothing_is_ordered_too():
    assert ordered(table_of([]), [("a", False)], []) == []


# Keys


def test_one_field_or_several_keys():
    assert keys_of("a", "asc", None) == [("a", False)]
    assert keys_of("a", "desc", None) == [("a", True)]
    keys = [{"field": "a", "order": "desc"}, {"field": "b"}]
    assert keys_of(None, "asc", keys) == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("field", "order", "keys"),
    [
        (None, "asc", None),
        ("a", "asc", [{"field": "a"}]),
        ("a", "up", None),
        ("a", None, None),
        (None, "asc", []),
        (None, "asc", "a"),
        (None, "asc", [{"field": "a"}] * (MOST_KEYS + 1)),
        (None, "asc", ["a"]),
        (None, "asc", [{"order": "asc"}]),
        (None, "asc", [{"field": 1}]),
        (None, "asc", [{"field": "a", "order": "x"}]),
        (None, "asc", [{"field": "a", "order": []}]),
        (None, "asc", [{"field": "a", "more": 1}]),
    ],
    ids=str,
)
def test_keys_that_are_none_are_refused(field, order, keys):
    with pytest.raises(InvalidCall, match="expected"):
        keys_of(field, order, keys)


def test_an_order_goes_up_or_down():
    assert not is_down("asc")
    assert is_down("desc")
    with pytest.raises(InvalidCall):
        is_down("DESC")


def test_a_field_that_no_row_has_is_refused():
    with pytest.raises(InvalidCall, match="came 'x'"):
        ordered(table_of([{"a": 1}]), [("x", False)], [])


# Values


@given(ROWS)
def test_a_nan_is_found_among_whatever_there_is(rows):
    values = [row.get("a") for row in rows]
    assert has_nan(values) is any(map(is_nan, values))


@given(st.lists(st.integers(0, 3) | st.floats(allow_nan=False), max_size=5))
def test_what_never_falls_is_rising(values):
    assert are_rising(values) is (values == sorted(values))
