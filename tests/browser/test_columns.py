"""components/columns.py: what a column is, and what somebody means by a condition."""

import pytest

from components.columns import Column, columns_of, duration, filter_of

PRICE, SYMBOL, TIME = Column("price", "number"), Column("symbol", "text"), Column("time", "time")


def test_columns_are_known_by_their_values():
    rows = [
        {"id": 1, "time": 1_764_000_000_000, "name": "a", "mixed": 1, "flag": True, "gone": None},
        {"id": 2, "time": 1_764_000_000_250, "name": "b", "mixed": "x", "flag": False},
    ]
    kinds = {each.field: each.kind for each in columns_of([*rows[0], "never"], rows)}
    assert kinds == {
        "id": "number",
        "time": "time",
        "name": "text",
        "mixed": "text",
        "flag": "text",
        "gone": "text",
        "never": "text",
    }


def test_a_number_called_time_that_is_no_moment_is_a_number():
    assert columns_of(["time"], [{"time": 12.5}])[0].kind == "number"


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (PRICE, 1234.5, "1,234.50"),
        (PRICE, 7, "7"),
        (PRICE, None, "–"),
        (PRICE, float("nan"), "nan"),
        (SYMBOL, "ä", "ä"),
        (SYMBOL, "x" * 200, "x" * 80 + "…"),
        (SYMBOL, True, "True"),
        (TIME, 1e30, "1e+30"),
    ],
)
def test_values_are_shown(column, value, shown):
    assert column.show(value) == shown


def test_a_time_is_shown_in_short():
    assert TIME.show(1_764_000_000_000)[2] == "-"


def test_numbers_are_understood_as_numbers_and_texts_as_texts():
    assert filter_of(PRICE, "greater", " 12 ").as_condition() == {
        "field": "price",
        "operator": "greater",
        "value": 12,
    }
    assert filter_of(PRICE, "less", "1.5").value == 1.5
    assert filter_of(SYMBOL, "equals", "12").value == "12"
    assert filter_of(PRICE, "contains", "12").value == "12"
    assert filter_of(PRICE, "between", "1, 2.5").value == [1, 2.5]
    assert filter_of(SYMBOL, "in", "a, b,, c").value == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("column", "operator", "text", "words"),
    [
        (PRICE, "greater", "much", "Price needs a number, not “much”."),
        (PRICE, "equals", "nan", "Price needs a number, not “nan”."),
        (PRICE, "equals", "", "Say what to look for."),
        (SYMBOL, "contains", "   ", "Say what to look for."),
        (PRICE, "between", "1", "Two values are needed, with a comma between them."),
        (PRICE, "in", "1, two", "Price needs a number, not “two”."),
    ],
)
def test_what_is_no_condition_is_told(column, operator, text, words):
    with pytest.raises(ValueError) as caught:
        filter_of(column, operator, text)
    assert str(caught.value) == words


def test_lengths_of_time_are_read():
    assert [duration(ms) for ms in (500, 90_000, 7_200_000, 200_000_000)] == [
        "0.5 s",
        "1.5 min",
        "2 h",
        "2.3 d",
    ]
