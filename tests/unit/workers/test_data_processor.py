"""The operations as a manager finds them; what they compute has tests of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidCall
from services.operation import fields_named, marked
from services.packing import Indices
from tests.unit.workers.rows import FIELDS, INTEGERS, rows_of, table_of
from workers import data_processor
from workers.tables import SentTable

ROWS = rows_of(st.none() | st.integers(-3, 3) | INTEGERS)
NAMES = ["sort", "filter", "aggregate", "group_by", "histogram", "window"]


def test_these_are_the_operations():
    found = [marked(value) for value in vars(data_processor).values()]
    assert [mark[0].name for mark in found if mark] == NAMES
    assert {mark[0].takes for mark in found if mark} == {"table"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sort", {"field": "a"}),
        ("sort", {"keys": [{"field": "a"}, {"field": "b", "order": "desc"}]}),
        ("filter", {"field": "a", "operator": "greater", "value": 0}),
        ("filter", {"any": [{"field": "a", "value": 1}, {"all": [{"field": "b", "value": 2}]}]}),
        ("aggregate", {"operation": "count"}),
        ("aggregate", {"operation": "sum", "field": "a"}),
        ("aggregate", {"operation": "percentile", "field": "a", "percentile": 9}),
        ("group_by", {"field": "a"}),
        ("group_by", {"field": ["a", "b"], "aggregates": [{"operation": "sum", "field": "ö"}]}),
        ("histogram", {"field": "a", "bins": 3}),
        ("window", {"time_field": "a", "field": "b", "span": 2, "points": 3}),
        ("window", {"time_field": "a", "span": 2.5, "operation": "count"}),
    ],
    ids=str,
)
def test_the_columns_that_options_name_are_enough(name, options):
    @given(ROWS)
    def check(rows):
        function = getattr(data_processor, name)
        table = table_of(rows)
        checked = marked(function)[0].check(options)
        names = fields_named(checked)
        sent = SentTable({field: table.column(field) for field in names}, len(table))
        assert repr(function(sent, **checked)) == repr(function(table, **checked))

    check()


@given(ROWS, st.sampled_from(FIELDS), st.booleans())
def test_sort_answers_with_row_numbers(rows, field, down):
    table = table_of(rows)
    found = data_processor.sort(table, field=field, order="desc" if down else "asc")
    assert type(found) is Indices
    there = [n for n in found if table.rows[n].get(field) is not None]
    expected = [n for n, row in enumerate(table.rows) if row.get(field) is not None]
    expected.sort(key=lambda n: table.rows[n][field] * (-1 if down else 1))
    assert there == expected
    assert sorted(found) == list(range(len(table)))


@given(ROWS, st.sampled_from(FIELDS))
def test_filter_answers_with_row_numbers(rows, field):
    table = table_of(rows)
    found = data_processor.filter(table, field=field, operator="less", value=1)
    assert type(found) is Indices
    assert found == [
        n for n, row in enumerate(table.rows) if row.get(field) is not None and row[field] < 1
    ]


def test_a_filter_without_an_operator_or_a_value_is_equality():
    table = table_of([{"a": 1}, {}])
    assert data_processor.filter(table, field="a", value=1) == [0]
    assert data_processor.filter(table, field="a") == [1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"operator": "equals", "value": 1},
        {"field": "a", "value": 1, "all": []},
        {"all": [], "any": []},
        {"all": [{"any": 5}]},
    ],
    ids=str,
)
def test_a_filter_has_one_condition(options):
    with pytest.raises(InvalidCall, match="condition: expected"):
        data_processor.filter(table_of([]), **options)
