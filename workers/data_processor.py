"""The worker of `WorkerManager` if it is told no other: sorts, filters and sums up rows.

How values of different kinds are ordered, compared and added stands in `workers.ordering`,
`workers.conditions` and `workers.aggregates`.
"""

from __future__ import annotations

from typing import Any

from services.operation import Table, operation
from services.packing import Indices
from workers import aggregates, moving
from workers.conditions import matching
from workers.grouping import aggregates_of, grouped
from workers.ordering import keys_of, ordered


@operation
def sort(
    table: Table,
    *,
    field: str | None = None,
    order: str = "asc",
    keys: list[dict[str, Any]] | None = None,
) -> Indices:
    """Return the rows in order: by `field`, or by several `keys` as `{"field", "order"}`."""
    return Indices(ordered(table, keys_of(field, order, keys)))


@operation
def filter(  # noqa: A001 - the chapter's name for it
    table: Table,
    *,
    field: str | None = None,
    operator: str | None = None,
    value: Any = None,
    all: list[dict[str, Any]] | None = None,  # noqa: A002
    any: list[dict[str, Any]] | None = None,  # noqa: A002
) -> Indices:
    """Return the rows that meet a condition, in their order."""
    condition = condition_of(field, operator, value, all, any)
    return Indices(matching(table, condition))


@operation
def aggregate(
    table: Table, *, operation: str, field: str | None = None, percentile: float | None = None
) -> Any:
    """Return a number about the values of `field`; `count` needs none."""
    values = None if field is None else table.column(field)
    return aggregates.aggregate(operation, values, len(table), percentile)


@operation
def group_by(
    table: Table, *, field: str | list[str], aggregates: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return a row for each group of rows with the same values, with `aggregates` of each."""
    fields = [field] if isinstance(field, str) else field
    return grouped(table, fields, aggregates_of(aggregates or []))


@operation
def histogram(
    table: Table, *, field: str, bins: int = 20, low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    """Return how the values of `field` are spread over equal parts of their range."""
    return moving.histogram(table.column(field), bins=bins, low=low, high=high)


@operation
def window(
    table: Table,
    *,
    time_field: str,
    span: float,
    field: str | None = None,
    operation: str = "average",
    points: int = 100,
    percentile: float | None = None,
) -> list[dict[str, Any]]:
    """Return a moving aggregate of `field` over windows of time, `span` long."""
    values = None if field is None else table.column(field)
    times = table.column(time_field)
    return moving.moving(
        times, values, span=span, operation=operation, points=points, percentile=percentile
    )


def condition_of(
    field: str | None, operator: str | None, value: Any, every: Any, some: Any
) -> dict[str, Any]:
    """Return the one condition that the options of `filter` are."""
    condition: dict[str, Any] = {}
    if field is not None or (every is None and some is None):
        condition = {"field": field, "operator": operator or "equals", "value": value}
    if every is not None:
        condition["all"] = every
    if some is not None:
        condition["any"] = some
    return condition
