"""Filtering: which rows meet a condition.

A condition is `{"field": …, "operator": …, "value": …}`, or `{"all": […]}` or `{"any": […]}` of
conditions. A row that lacks the field, or has None there, equals None and nothing else, and no
other operator is met by it but `not_equals`, and `in` where None is among the values. Values that
Python cannot compare do not meet `greater` and its like: nothing is both text and less than 5. NaN
is equal to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from services.operation import DEEPEST, Table

EXACT = 2**53
"""Up to here a float holds every whole number."""

Test = Callable[[Any], bool]


def _contains(wanted: Any) -> Test:
    text = str(wanted)
    return lambda value: (
        value is not None and text in (value if type(value) is str else _text(value))
    )


def _starts_with(wanted: Any) -> Test:
    text = str(wanted)
    return lambda value: value is not None and _text(value).startswith(text)


def _text(value: Any) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return ""


def _in(wanted: Any) -> Test:
    if not isinstance(wanted, (list, tuple)):
        raise InvalidCall(f"in, value: expected an array, came {describe(wanted)}")
    try:
        known = frozenset(each for each in wanted if each == each)
    except TypeError:
        return lambda value: any(value == each for each in wanted)

    def test(value: Any) -> bool:
        try:
            return value in known
        except TypeError:  # a list or a dict equals nothing that could be looked up
            return False

    return test


def _between(wanted: Any) -> Test:
    match wanted:
        case [low, high]:
            return lambda value: bool(low <= value <= high)
    raise InvalidCall(f"between, value: expected an array of two, came {describe(wanted)}")


OPERATORS: dict[str, Callable[[Any], Test]] = {
    "equals": lambda wanted: lambda value: bool(value == wanted),
    "not_equals": lambda wanted: lambda value: bool(value != wanted),
    "contains": _contains,
    "starts_with": _starts_with,
    "greater": lambda wanted: lambda value: bool(value > wanted),
    "less": lambda wanted: lambda value: bool(value < wanted),
    "at_least": lambda wanted: lambda value: bool(value >= wanted),
    "at_most": lambda wanted: lambda value: bool(value <= wanted),
    "in": _in,
    "between": _between,
}

# The same where the values are all of one kind, without a call for each.
_FAST: dict[str, Callable[[list[Any], Sequence[int], Any], list[int]]] = {
    "equals": lambda column, rows, wanted: [n for n in rows if column[n] == wanted],
    "greater": lambda column, rows, wanted: [n for n in rows if column[n] > wanted],
    "less": lambda column, rows, wanted: [n for n in rows if column[n] < wanted],
    "at_least": lambda column, rows, wanted: [n for n in rows if column[n] >= wanted],
    "at_most": lambda column, rows, wanted: [n for n in rows if column[n] <= wanted],
}


def matching(
    table: Table, condition: object, rows: Sequence[int] | None = None, depth: int = 0
) -> list[int]:
    """Return the numbers of those of `rows` (all, if not given) that meet a condition, in order.

    Raises InvalidCall for a condition, an operator or a field that there is not.
    """
    if depth > DEEPEST:
        raise InvalidCall(f"condition: expected at most {DEEPEST} levels, came more")
    rows = range(len(table)) if rows is None else rows
    match condition:
        case {"all": list() | tuple() as parts, **rest} if not rest:
            found = list(rows)
            for part in parts:
                found = matching(table, part, found, depth + 1)
            return found
        case {"any": list() | tuple() as parts, **rest} if not rest:
            union: set[int] = set()
            for part in parts:
                union.update(matching(table, part, rows, depth + 1))
            return [n for n in rows if n in union]
        case {"field": str(field), "value": value, **rest} if rest.keys() <= {"operator"}:
            return _meeting(table.column(field), rest.get("operator", "equals"), value, rows)
    raise InvalidCall(
        'condition: expected {"field": …, "operator": …, "value": …},'
        f' {{"all": […]}} or {{"any": […]}}, came {condition!r:.120}'
    )


def _meeting(column: list[Any], operator: object, wanted: Any, rows: Sequence[int]) -> list[int]:
    if not isinstance(operator, str) or operator not in OPERATORS:
        there = ", ".join(OPERATORS)
        raise InvalidCall(f"operator: expected one of {there}, came {describe(operator)}")
    if (fast := _FAST.get(operator)) is not None:
        try:
            return fast(column, rows, _like(column, wanted))
        except TypeError:
            pass
    test = OPERATORS[operator](wanted)

    def meets(value: Any) -> bool:
        try:
            return test(value)
        except TypeError:  # cannot be compared
            return False

    return [n for n in rows if meets(column[n])]


def _like(column: list[Any], wanted: Any) -> Any:
    """Return a whole number as a fraction if that is what it is compared with: it is quicker."""
    if type(wanted) is int and abs(wanted) <= EXACT and column and type(column[0]) is float:
        return float(wanted)
    return wanted
