from __future__ import annotations

import pytest
from hypothesis import given

from services.errors import InvalidCall, NotTransferable
from tests.unit.workers.rows import FIELDS, ROWS
from workers.tables import RowTable, SentTable, check_all


def test_what_was_sent_is_there_and_nothing_else():
    table = SentTable({"a": [1, 2]}, 2)
    assert len(table) == 2
    assert table.column("a") == [1, 2]
    with pytest.raises(InvalidCall, match="expected one of a, came 'b'"):
        table.column("b")


def test_the_number_of_rows_is_known_without_a_column():
    assert len(SentTable({}, 7)) == 7
    assert len(SentTable({"a": [1]})) == 1
    assert len(SentTable({})) == 0


@given(ROWS, ROWS)
def test_columns_are_as_long_as_the_rows_also_when_these_become_more_or_fewer(rows, more):
    table = RowTable(list(rows))
    known = [field for field in FIELDS if any(field in row for row in rows)]
    for field in known:
        table.column(field)
    table.append(more)
    table.drop(len(rows) // 2)
    left = [*rows, *more][len(rows) // 2 :]
    assert table.rows == left
    assert len(table) == len(left)
    for field in known:
        assert table.column(field) == [row.get(field) for row in left]
    assert set(table.fields()) == {field for row in [*rows, *more] for field in row}


def test_a_field_is_known_as_long_as_there_was_one_whoever_asked_before():
    asked, unasked = RowTable([{"a": 1}, {"b": 2}]), RowTable([{"a": 1}, {"b": 2}])
    asked.column("a")
    for table in (asked, unasked):
        table.drop(1)
        assert table.column("a") == [None]


def test_a_field_asked_for_while_there_was_no_row_is_not_known_by_that():
    table = RowTable([])
    assert table.column("a") == []
    table.append([{"b": 1}])
    with pytest.raises(InvalidCall, match="expected one of b, came 'a'"):
        table.column("a")
    table.append([{"a": 1}])
    assert table.column("a") == [None, 1]


@pytest.mark.parametrize("wrong", [None, 5, [], "row", [("a", 1)]], ids=repr)
def test_a_row_that_is_none_is_named_and_nothing_is_added(wrong):
    with pytest.raises(NotTransferable, match="row 1: expected a dict"):
        RowTable([{}, wrong])
    table = RowTable([{"a": 1}])
    with pytest.raises(NotTransferable, match="row 2: expected a dict"):
        table.append([{"a": 2}, wrong])
    assert table.rows == [{"a": 1}]
    check_all([], 5)
