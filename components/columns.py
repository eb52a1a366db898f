"""What is known of a table's columns, and how their values are shown and asked for."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.gauge import number

TEXT_LIMIT = 80

OPERATORS = {
    "contains": "contains",
    "equals": "is",
    "not_equals": "is not",
    "greater": "is greater than",
    "less": "is less than",
    "at_least": "is at least",
    "at_most": "is at most",
    "between": "is between",
    "starts_with": "starts with",
    "in": "is one of",
}
"""The processor's operators, in words."""

COMPARING = frozenset({"greater", "less", "at_least", "at_most", "between"})

AGGREGATES = {
    "average": "Average",
    "sum": "Sum",
    "min": "Least",
    "max": "Greatest",
    "median": "Median",
    "stdev": "Deviation",
    "distinct": "Different",
}
"""The processor's aggregates that the table's foot can show, in words."""

FOR_ANY = frozenset({"min", "max", "distinct"})
"""Aggregates that texts have as well."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field: a number, a time in milliseconds since 1970, or text."""

    field: str
    kind: str

    @property
    def label(self) -> str:
        """The field's name as a heading."""
        return self.field[:1].upper() + self.field[1:].replace("_", " ")

    def show(self, value: Any) -> str:
        """Return a value as it stands in a cell."""
        if value is None:
            return "–"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            text = str(value)
            return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"
        if self.kind == "time" and math.isfinite(value):
            return moment(value)
        if isinstance(value, int):
            return f"{value}"
        return f"{value:,.2f}"

    def show_aggregate(self, value: Any, operation: str) -> str:
        """Return an aggregate as it stands at the foot."""
        if value is None or operation == "distinct" or self.kind == "text":
            return self.show(value) if not isinstance(value, int) else f"{value:,}"
        if self.kind == "time":
            return duration(value) if operation == "stdev" else self.show(value)
        return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"

    def takes(self, operation: str) -> bool:
        """Tell whether an aggregate of this column says anything."""
        if self.kind == "number":
            return True
        return operation in FOR_ANY or (self.kind == "time" and operation == "median")


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that somebody has set."""

    column: Column
    operator: str
    text: str
    value: Any

    @property
    def words(self) -> str:
        """The condition as it is read."""
        return f"{self.column.label} {OPERATORS[self.operator]} {self.text}"

    def as_condition(self) -> dict[str, Any]:
        """Return it as the worker wants it."""
        return {"field": self.column.field, "operator": self.operator, "value": self.value}


def columns_of(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of some fields, by what is in some rows."""
    rows = list(rows)
    columns = []
    for field in fields:
        values = [row[field] for row in rows if row.get(field) is not None]
        is_number = bool(values) and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
        )
        kind = "number" if is_number else "text"
        if is_number and field == "time" and all(10**11 < value < 10**14 for value in values):
            kind = "time"
        columns.append(Column(field, kind))
    return columns


def filter_of(column: Column, operator: str, text: str) -> Filter:
    """Return the condition that somebody means. Raises ValueError, which says what is expected."""
    text = text.strip()
    if not text:
        raise ValueError("Say what to look for.")
    if operator in ("between", "in"):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if operator == "between" and len(parts) != 2:
            raise ValueError("Two values are needed, with a comma between them.")
        return Filter(column, operator, ", ".join(parts), [_value(column, part) for part in parts])
    if operator in ("contains", "starts_with"):
        return Filter(column, operator, text, text)
    return Filter(column, operator, text, _value(column, text))


def _value(column: Column, text: str) -> Any:
    if column.kind == "text":
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{column.label} needs a number, not “{text[:40]}”.") from None
    if not math.isfinite(value):
        raise ValueError(f"{column.label} needs a number, not “{text[:40]}”.")
    return value


def moment(milliseconds: float) -> str:
    """Return a time of this year, as it is read here."""
    try:
        return time.strftime("%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))
    except OverflowError, ValueError, OSError:
        return f"{milliseconds}"


def duration(milliseconds: float) -> str:
    """Return a length of time in words."""
    seconds = abs(milliseconds) / 1000
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{number(seconds / length)} {unit}"
    return f"{number(seconds)} s"
