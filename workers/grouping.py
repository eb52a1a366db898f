"""Rows that have the same values in some fields, and numbers about each such group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from services.operation import Table
from workers.aggregates import aggregate
from workers.values import has_nan

Wanted = tuple[str, str | None, Any]
"""An aggregate: its operation, its field, and the percentile."""


def grouped(
    table: Table, fields: Sequence[str], wanted: Sequence[Wanted], rows: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Return a row for each group, in the order in which they first occur.

    It has the fields' values, `count`, and `<operation>_<field>` for each aggregate. Rows without
    a field are a group of their own, whose value is None. Raises InvalidCall.
    """
    columns = [table.column(field) for field in fields]
    numbers = range(len(table)) if rows is None else rows
    keys = _keys(columns, numbers)
    try:
        if not wanted:
            counts = Counter(keys).items()
            return [_row(fields, key, count) for key, count in counts]
        members: dict[Any, list[int]] = {}
        for n, key in zip(numbers, keys, strict=True):
            if (group := members.get(key)) is None:
                members[key] = [n]
            else:
                group.append(n)
    except TypeError:
        raise InvalidCall("group_by, field: expected values that can be looked up") from None
    sources = {field: table.column(field) for _, field, _ in wanted if field is not None}
    found = []
    for key, group in members.items():
        row = _row(fields, key, len(group))
        for operation, field, part in wanted:
            values = None if field is None else [sources[field][n] for n in group]
            name = operation if field is None else f"{operation}_{field}"
            row[name] = aggregate(operation, values, len(group), part)
        found.append(row)
    return found


def _keys(columns: list[list[Any]], numbers: Sequence[int]) -> list[Any]:
    """Return what a row's group is known by: a value, or a tuple of several."""
    picked = [
        column if isinstance(numbers, range) else [column[n] for n in numbers] for column in columns
    ]
    for at, column in enumerate(picked):
        if has_nan(column):
            # One that is not equal to itself would be a group each time.
            picked[at] = [_NAN if value != value else value for value in column]
    if len(picked) == 1:
        return picked[0]
    return list(zip(*picked, strict=True)) if picked else [()] * len(numbers)


def _row(fields: Sequence[str], key: Any, count: int) -> dict[str, Any]:
    values = (key,) if len(fields) == 1 else key
    return {**dict(zip(fields, values, strict=True)), "count": count}


_NAN = float("nan")
"""The same object each time: a dict looks at that first."""


def aggregates_of(values: object) -> list[Wanted]:
    """Return the aggregates that an option means. Raises InvalidCall."""
    if not isinstance(values, (list, tuple)):
        raise InvalidCall(f"aggregates: expected an array, came {describe(values)}")
    found: list[Wanted] = []
    for value in values:
        match value:
            case {"operation": str(operation), **rest} if rest.keys() <= {"field", "percentile"}:
                field = rest.get("field")
                if field is None or isinstance(field, str):
                    found.append((operation, field, rest.get("percentile")))
                    continue
        raise InvalidCall(
            f'aggregates: expected {{"operation": …, "field": …}}, came {value!r:.80}'
        )
    return found
