"""Rows as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from services.packing import Row, no_row, unknown_field


class SentTable:
    """The columns that a caller has sent. Implements `services.operation.Table`."""

    def __init__(self, columns: Mapping[str, list[Any]], count: int | None = None) -> None:
        self._columns = columns
        self._count = max(map(len, columns.values()), default=0) if count is None else count

    def __len__(self) -> int:
        return self._count

    def column(self, field: str) -> list[Any]:
        """Return a column. Raises InvalidCall if it was not sent."""
        try:
            return self._columns[field]
        except KeyError:
            there = ", ".join(self._columns)
            raise InvalidCall(f"field: expected one of {there}, came {describe(field)}") from None


class RowTable:
    """Rows that stay here, and their columns once somebody asked for them."""

    def __init__(self, rows: list[Row]) -> None:
        check_all(rows, 0)
        self.rows = rows
        self._fields: dict[str, None] = {}
        self._meet(rows)
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, field: str) -> list[Any]:
        """Return a column; as long as the rows, also when they become more or fewer.

        Raises InvalidCall if no row has or had the field.
        """
        column = self._columns.get(field)
        if column is None:
            if field not in self._fields:
                if self.rows:
                    raise unknown_field(field, self.rows)
                return []
            column = self._columns[field] = [row.get(field) for row in self.rows]
        return column

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows at the end. Raises NotTransferable if one is none, and adds none then."""
        check_all(rows, len(self.rows))
        self.rows += rows
        self._meet(rows)
        for field, column in self._columns.items():
            column += [row.get(field) for row in rows]

    def drop(self, count: int) -> None:
        """Take the first rows away."""
        del self.rows[:count]
        for column in self._columns.values():
            del column[:count]

    def fields(self) -> list[str]:
        """Return the names of the fields that rows have or had, in the order they came."""
        return list(self._fields)

    def _meet(self, rows: Sequence[Row]) -> None:
        known = self._fields.keys()
        for row in rows:
            if row.keys() != known:
                self._fields.update(dict.fromkeys(row))


def check_all(rows: Sequence[Any], first: int) -> None:
    """Raise NotTransferable if one of the rows is no dict."""
    if any(type(row) is not dict for row in rows):
        number, row = next((n, row) for n, row in enumerate(rows) if type(row) is not dict)
        raise no_row(first + number, row)
