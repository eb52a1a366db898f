"""Sorting: which row comes first.

Values are ordered as Python orders them. Where they are of different kinds, numbers (booleans
are 0 and 1) come before text, and text before all else, which stays in the order it came in.
What is missing, None, or not a number (NaN) comes last, in either direction. Rows that are equal
keep their order, also when it goes down. Text is ordered by code points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.errors import InvalidCall
from services.operation import Table
from workers.values import has_nan

MOST_KEYS = 16


def ordered(
    table: Table, keys: Sequence[tuple[str, bool]], numbers: Iterable[int] | None = None
) -> list[int]:
    """Return row numbers (all, if none are given) in the order of `keys`.

    A key is a field, and whether it goes down; the first counts most.
    """
    order = list(range(len(table))) if numbers is None else list(numbers)
    # A stable sort by the least key first makes one by all of them.
    for field, down in reversed(keys):
        column = table.column(field)
        order = _by_column(column, down, order)
    return order


def keys_of(field: str | None, order: str, keys: object) -> list[tuple[str, bool]]:
    """Return the keys that the options of `sort` mean. Raises InvalidCall."""
    if (field is None) == (keys is None):
        raise InvalidCall("sort: expected either field or keys, came both or neither")
    if field is not None:
        return [(field, is_down(order))]
    if not isinstance(keys, (list, tuple)) or not 0 < len(keys) <= MOST_KEYS:
        raise InvalidCall(f"keys: expected an array of 1 to {MOST_KEYS}, came another")
    found = []
    for key in keys:
        match key:
            case {"field": str(name), **rest} if rest.keys() <= {"order"}:
                found.append((name, is_down(rest.get("order", "asc"))))
            case _:
                expected = '{"field": …, "order": "asc" or "desc"}'
                raise InvalidCall(f"keys: expected {expected}, came {key!r:.80}")
    return found


def is_down(order: object) -> bool:
    """Tell which way an order goes. Raises InvalidCall if it is none."""
    if order not in ("asc", "desc"):
        raise InvalidCall(f"order: expected one of asc, desc, came {order!r:.80}")
    return order == "desc"


def _by_column(column: list[Any], down: bool, order: list[int]) -> list[int]:
    if not has_nan(column):
        try:
            # A sort of values that cannot all be compared raises before it ends.
            found = sorted(order, key=column.__getitem__, reverse=down)
            if not found or isinstance(column[found[0]], (int, float, str)):
                return found
        except TypeError:
            pass
    return _by_kind(column, down, order)


def _by_kind(column: list[Any], down: bool, order: list[int]) -> list[int]:
    numbers, texts, others, missing = [], [], [], []
    for index in order:
        value = column[index]
        if value is None or value != value:
            missing.append(index)
        elif isinstance(value, (int, float)):
            numbers.append(index)
        elif isinstance(value, str):
            texts.append(index)
        else:
            others.append(index)
    numbers.sort(key=column.__getitem__, reverse=down)
    texts.sort(key=column.__getitem__, reverse=down)
    kinds = [others, texts, numbers] if down else [numbers, texts, others]
    return [*kinds[0], *kinds[1], *kinds[2], *missing]
