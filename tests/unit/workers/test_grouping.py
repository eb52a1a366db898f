from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidCall
from tests.unit.workers.rows import FIELDS, INTEGERS, NUMBERS, TEXTS, is_nan, rows_of, table_of
from workers.aggregates import aggregate
from workers.grouping import aggregates_of, grouped

ROWS = rows_of(st.none() | st.integers(0, 2) | NUMBERS | TEXTS)


def identity(value):
    return "NaN" if is_nan(value) else ("is", value)


def naive(rows, fields):
    groups = []
    for row in rows:
        key = [row.get(field) for field in fields]
        for known, members in groups:
            if list(map(identity, known)) == list(map(identity, key)):
                members.append(row)
                break
        else:
            groups.append((key, [row]))
    return groups


def alike(one, other):
    return repr(one) == repr(other) if is_nan(one) else one == other


@given(ROWS, st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True))
def test_rows_with_the_same_values_are_a_group(rows, fields):
    table = table_of(rows)
    for wanted in ([], [("count", None, None)]):
        found = grouped(table, fields, wanted)
        expected = naive(table.rows, fields)
        assert [group["count"] for group in found] == [len(members) for _, members in expected]
        for group, (key, _) in zip(found, expected, strict=True):
            assert all(alike(group[f], value) for f, value in zip(fields, key, strict=True))


@given(rows_of(st.none() | st.integers(0, 2) | INTEGERS), st.data())
def test_each_group_has_numbers_about_its_own_rows(rows, data):
    table = table_of(rows)
    some = [n for n in range(len(rows)) if data.draw(st.booleans())]
    wanted = [("sum", "b", None), ("percentile", "ö", 30), ("count", None, None)]
    found = grouped(table, ["a"], wanted, some)
    for group, (_, members) in zip(found, naive([table.rows[n] for n in some], ["a"]), strict=True):
        for operation, field, part in wanted[:2]:
            values = [row.get(field) for row in members]
            expected = aggregate(operation, values, len(values), part)
            assert group[f"{operation}_{field}"] == expected
        assert group["count"] == len(members)


def test_nan_is_one_group_whatever_object_it_is():
    table = table_of([{"a": float("nan")}, {"a": math.nan}, {"a": float("nan")}, {"a": 1}])
    assert [group["count"] for group in grouped(table, ["a"], [])] == [3, 1]
    assert [group["count"] for group in grouped(table, ["a", "b"], [])] == [3, 1]


def test_by_no_field_all_rows_are_one_group():
    assert grouped(table_of([{"a": 1}]), [], [("sum", "a", None)]) == [{"count": 1, "sum_a": 1}]


@pytest.mark.parametrize("wanted", [[], [("count", None, None)]], ids=str)
def test_what_cannot_be_looked_up_is_refused(wanted):
    table = table_of([{"a": [1]}, {"a": {}}])
    for fields in (["a"], ["b", "a"]):
        with pytest.raises(InvalidCall, match="expected values that can be looked up"):
            grouped(table, fields, wanted)


def test_a_field_that_no_row_has_is_refused():
    table = table_of([{"a": 1}])
    for fields, wanted in ((["x"], []), (["a"], [("sum", "x", None)])):
        with pytest.raises(InvalidCall, match="came 'x'"):
            grouped(table, fields, wanted)


def test_aggregates_are_an_operation_a_field_and_a_percentile():
    assert aggregates_of([{"operation": "count"}]) == [("count", None, None)]
    assert aggregates_of(({"operation": "percentile", "field": "a", "percentile": 5},)) == [
        ("percentile", "a", 5)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "sum",
        {"operation": "sum"},
        ["sum"],
        [{}],
        [{"operation": None}],
        [{"operation": "sum", "field": 1}],
        [{"operation": "sum", "more": 1}],
    ],
    ids=str,
)
def test_aggregates_that_are_none_are_refused(wrong):
    with pytest.raises(InvalidCall, match="aggregates: expected"):
        aggregates_of(wrong)
