from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConfigurationError, InvalidCall
from services.operation import (
    DEEPEST,
    Job,
    Operation,
    Option,
    Table,
    fields_named,
    marked,
    operation,
)


@operation
def primes(limits: list, *, step: int = 1, job: Job) -> list:
    return limits


@operation
def ordered(table: Table, *, field: str, order: Literal["asc", "desc"] = "asc") -> list:
    return []


@operation
async def ping() -> str:
    return "pong"


@operation
def bare(data, factor, *, more=None):
    return data


class Holder:
    @operation
    def kept(self, rows: list[Any], *, number: int) -> int:
        return number


def of(function) -> Operation:
    mark = marked(function)
    assert mark is not None
    return mark[0]


def test_the_first_parameter_is_the_data_and_the_others_are_options():
    assert of(primes) == Operation("primes", "value", {"step": Option("int", False)})
    assert marked(primes)[1] == "job"
    assert of(ordered) == Operation(
        "ordered",
        "table",
        {"field": Option("str", True), "order": Option(["choice", "asc", "desc"], False)},
    )
    assert of(ping) == Operation("ping", "nothing", {})
    assert of(bare).options == {"factor": Option("any", True), "more": Option("any", False)}


def test_a_marked_function_stays_what_it_is():
    assert primes([1], job=None) == [1]
    assert primes.__name__ == "primes"


def test_a_method_is_an_operation_without_its_self():
    assert of(Holder().kept) == of(Holder.kept)
    assert of(Holder().kept) == Operation("kept", "value", {"number": Option("int", True)})


def test_operations_alone_are_marked():
    class Odd:
        __operation__ = ("not", "ours")

    for value in (None, 5, len, lambda: 1, Odd, Odd(), "sort"):
        assert marked(value) is None


def many(data, *values: int):
    return data


def named(data, **values: int):
    return data


def foreign(data, *, when: bytes = b""):
    return data


def unknown(data, *, when: Nowhere = None):  # noqa: F821
    return data


def by_place(data, factor, /):
    return data


def job_by_place(data, job: Job, /):
    return data


@pytest.mark.parametrize(
    "function", [many, named, foreign, unknown, by_place, job_by_place], ids=lambda each: str(each)
)
def test_a_parameter_that_cannot_be_an_option_is_refused(function):
    with pytest.raises(ConfigurationError, match="expected"):
        operation(function)


def test_data_may_be_given_by_place_alone():
    @operation
    def first(data, /, *, more: int = 1):
        return data

    assert of(first) == Operation("first", "value", {"more": Option("int", False)})


# Options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "ordered, field: expected a value, came none"),
        ({"field": 1}, "ordered, field: expected text, came 1"),
        ({"field": "a", "order": "up"}, "ordered, order: expected one of asc, desc, came 'up'"),
        ({"field": "a", "fields": 1}, "ordered, options: expected field, order, came 'fields'"),
        ({"field": "a", 1: 1}, "ordered, options: expected field, order, came 1"),
        ([], "ordered, options: expected a dict, came an array of 0"),
        ("field", "ordered, options: expected a dict, came 'field'"),
    ],
    ids=str,
)
def test_options_that_are_wrong_are_refused(options, said):
    with pytest.raises(InvalidCall) as caught:
        of(ordered).check(options)
    assert caught.value.message == said


def test_an_operation_without_options_says_so():
    with pytest.raises(InvalidCall, match="expected none at all, came 'a'"):
        of(ping).check({"a": 1})


def test_options_that_are_right_come_back_as_a_copy():
    options = {"field": "a"}
    checked = of(ordered).check(options)
    assert checked == options
    assert checked is not options


# Over the wire


@pytest.mark.parametrize("function", [primes, ordered, ping, bare, Holder.kept], ids=str)
def test_an_operation_crosses_as_json(function):
    there = json.loads(json.dumps(of(function).as_data()))
    assert Operation.from_data(there) == of(function)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    JSON
    | st.tuples(st.text(), st.sampled_from(["value", "table", "nothing"]) | JSON, JSON).map(list)
    | st.tuples(
        st.text(),
        st.just("value"),
        st.dictionaries(st.text(), st.tuples(st.sampled_from(["int", "x"]) | JSON, JSON).map(list)),
    ).map(list)
)
def test_whatever_a_worker_sends_is_an_operation_or_nothing(data):
    found = Operation.from_data(data)
    if found is not None:
        assert found.as_data() == data


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        ["a", "value"],
        ["a", "rows", {}],
        [1, "value", {}],
        ["a", "value", []],
        ["a", "value", {"b": "int"}],
        ["a", "value", {"b": ["int"]}],
        ["a", "value", {"b": ["int", 1]}],
        ["a", "value", {"b": ["integer", True]}],
        ["a", "value", {"b": ["int", True], "c": None}],
    ],
    ids=repr,
)
def test_what_is_no_operation_is_nothing(data):
    assert Operation.from_data(data) is None


# The fields that options name


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, []),
        ({"field": "a"}, ["a"]),
        ({"field": None}, []),
        ({"field": ["a", "b", "a", 1]}, ["a", "b"]),
        ({"field": ("a", "b")}, ["a", "b"]),
        ({"time_field": "t", "field": "a"}, ["t", "a"]),
        ({"fields": "a", "fieldy": "b", "afield": "c"}, []),
        ({"keys": [{"field": "a"}, {"field": "b", "order": "asc"}]}, ["a", "b"]),
        ({"any": [{"all": [{"field": "a", "value": {"field": "b"}}]}]}, ["a"]),
        ({"value": {"field": "b"}}, []),
        ({"aggregates": [{"operation": "sum", "field": "c"}], "field": "c"}, ["c"]),
        ({1: {"field": "a"}}, ["a"]),
        ("field", []),
        (None, []),
    ],
    ids=str,
)
def test_the_fields_that_options_name_are_found(options, fields):
    assert fields_named(options) == fields


def test_options_nested_without_end_are_refused():
    options = {}
    options["all"] = [options]
    with pytest.raises(InvalidCall, match=f"at most {DEEPEST} levels"):
        fields_named(options)
