from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidCall
from services.operation import DEEPEST
from tests.unit.workers.rows import FIELDS, ROWS, VALUES, is_nan, table_of
from workers.conditions import OPERATORS, matching

SIMPLE = ["equals", "not_equals", "greater", "less", "at_least", "at_most"]
TEXTUAL = ["contains", "starts_with"]


def conditions():
    field = st.sampled_from(FIELDS)
    one = st.one_of(
        st.builds(
            lambda f, o, v: {"field": f, "operator": o, "value": v},
            field,
            st.sampled_from(SIMPLE + TEXTUAL),
            VALUES.filter(lambda value: not isinstance(value, int) or abs(value) < 10**300),
        ),
        st.builds(lambda f, v: {"field": f, "value": v}, field, VALUES),
        st.builds(
            lambda f, v: {"field": f, "operator": "in", "value": v},
            field,
            st.lists(VALUES, max_size=3),
        ),
        st.builds(
            lambda f, v: {"field": f, "operator": "between", "value": v},
            field,
            st.lists(VALUES, min_size=2, max_size=2),
        ),
    )
    return st.recursive(
        one,
        lambda inner: st.builds(
            lambda key, parts: {key: parts},
            st.sampled_from(["all", "any"]),
            st.lists(inner, max_size=3),
        ),
        max_leaves=4,
    )


def meets(row, condition):
    """What `conditions` says of each operator, for one row."""
    if "all" in condition:
        return not [part for part in condition["all"] if not meets(row, part)]
    if "any" in condition:
        return bool([part for part in condition["any"] if meets(row, part)])
    value, wanted = row.get(condition["field"]), condition["value"]
    match condition.get("operator", "equals"):
        case "equals":
            return value == wanted
        case "not_equals":
            return value != wanted
        case "in":
            return bool([each for each in wanted if each == value])
        case "contains":
            return value is not None and str(wanted) in str(value)
        case "starts_with":
            return value is not None and str(value)[: len(str(wanted))] == str(wanted)
        case "between":
            return comparable(value, wanted[0], wanted[1]) and wanted[0] <= value <= wanted[1]
        case "greater":
            return comparable(value, wanted) and value > wanted
        case "less":
            return comparable(value, wanted) and value < wanted
        case "at_least":
            return comparable(value, wanted) and value >= wanted
        case "at_most":
            return comparable(value, wanted) and value <= wanted


def comparable(value, *others):
    for other in others:
        if is_nan(value) or is_nan(other):
            return False
        kinds = [(int, float), str, list]
        if not [kind for kind in kinds if isinstance(value, kind) and isinstance(other, kind)]:
            return False
    return True


@given(ROWS, conditions())
def test_those_rows_match_that_meet_the_condition(rows, condition):
    table = table_of(rows)
    expected = [n for n, row in enumerate(table.rows) if meets(row, condition)]
    assert matching(table, condition) == expected


@given(ROWS, conditions(), st.data())
def test_of_some_rows_those_match_in_their_order(rows, condition, data):
    table = table_of(rows)
    some = data.draw(st.permutations(range(len(table))))[:5]
    assert matching(table, condition, some) == [n for n in some if meets(table.rows[n], condition)]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_row_without_the_field_equals_none_and_nothing_else(operator):
    table = table_of([{"b": 1}])
    wanted = {"in": [1, "None"], "between": [0, 9]}.get(operator, 1)
    found = matching(table, {"field": "a", "operator": operator, "value": wanted})
    assert bool(found) is (operator == "not_equals")
    wanted = {"in": [None], "between": [None, None]}.get(operator)
    found = matching(table, {"field": "a", "operator": operator, "value": wanted})
    assert bool(found) is (operator in ("equals", "in"))


def test_nan_is_equal_to_nothing_also_where_it_is_the_same():
    table = table_of([{"a": math.nan}])
    for condition in (
        {"field": "a", "value": math.nan},
        {"field": "a", "operator": "in", "value": [math.nan]},
        {"field": "a", "operator": "in", "value": [math.nan, []]},
    ):
        assert matching(table, condition) == []


def test_what_can_be_looked_up_and_what_cannot_are_both_in():
    table = table_of([{"a": [1]}, {"a": 2}, {"a": {"b": 1}}, {"a": "x"}])
    assert matching(table, {"field": "a", "operator": "in", "value": [[1], 2]}) == [0, 1]
    assert matching(table, {"field": "a", "operator": "in", "value": (2, "x")}) == [1, 3]


def test_an_integer_too_long_to_be_written_contains_nothing():
    table = table_of([{"a": 10**5000}, {"a": 10}, {"a": [10**5000]}])
    for operator in ("contains", "starts_with"):
        assert matching(table, {"field": "a", "operator": operator, "value": 10}) == [1]


def test_rows_that_meet_one_of_several_keep_the_order_they_were_given_in():
    table = table_of([{"a": n} for n in range(5)])
    condition = {"any": [{"field": "a", "value": 1}, {"field": "a", "value": 4}]}
    assert matching(table, condition, [4, 3, 1, 0]) == [4, 1]


def test_no_parts_are_met_by_all_rows_or_by_none():
    table = table_of([{"a": 1}])
    assert matching(table, {"all": []}) == [0]
    assert matching(table, {"any": []}) == []


@pytest.mark.parametrize(
    "condition",
    [
        None,
        5,
        [],
        {},
        {"field": "a"},
        {"value": 1},
        {"field": 1, "value": 1},
        {"field": None, "operator": "equals", "value": 1},
        {"field": "a", "value": 1, "more": 1},
        {"field": "a", "operator": "is", "value": 1},
        {"field": "a", "operator": None, "value": 1},
        {"field": "a", "operator": [], "value": 1},
        {"field": "a", "operator": "in", "value": 1},
        {"field": "a", "operator": "in", "value": "abc"},
        {"field": "a", "operator": "between", "value": 1},
        {"field": "a", "operator": "between", "value": [1]},
        {"field": "a", "operator": "between", "value": [1, 2, 3]},
        {"all": {}},
        {"all": [5]},
        {"any": [{}]},
        {"all": [], "any": []},
        {"all": [], "field": "a", "value": 1},
    ],
    ids=repr,
)
def test_a_condition_that_is_none_is_refused_whatever_the_rows(condition):
    for rows in ([], [{"a": 1}]):
        with pytest.raises(InvalidCall, match="expected"):
            matching(table_of(rows), condition)


def test_a_field_that_no_row_has_is_refused_also_where_no_row_is_left():
    table = table_of([{"a": 1}])
    unknown = {"field": "x", "value": 1}
    for condition in (unknown, {"all": [{"any": []}, unknown]}, {"any": [unknown, {"all": []}]}):
        with pytest.raises(InvalidCall, match="expected one of a, came 'x'"):
            matching(table, condition)


def test_conditions_nested_without_end_are_refused():
    condition = {}
    condition["all"] = [condition]
    with pytest.raises(InvalidCall, match=f"at most {DEEPEST} levels"):
        matching(table_of([]), condition)
