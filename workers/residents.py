"""Datasets that stay in the worker: loaded once, asked many times, added to while they live.

Whoever asks says which rows, by a condition, and in which order, by keys; that is a view. The
latest views are kept, so that the next question about one costs no sorting, and when rows are
added, only these are looked at.
"""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from services.operation import Job, operation
from services.packing import Row, check_rows
from workers import moving, source
from workers.aggregates import aggregate
from workers.conditions import matching
from workers.grouping import aggregates_of, grouped
from workers.ordering import keys_of, ordered
from workers.tables import RowTable

MOST_VIEWS = 8
MOST_FOUND = 64

LONGEST_WINDOW = 100_000
"""Rows that one question may bring to the page."""

Condition = dict[str, Any]
Keys = list[dict[str, Any]]


class View:
    """Row numbers of some of the first `seen` rows, in an order."""

    def __init__(self, dropped: int) -> None:
        self.numbers: list[int] = []
        self.seen = 0
        self.dropped = dropped


class Resident:
    """Rows, at most `limit` of them: the oldest go first."""

    def __init__(self, rows: list[Row], limit: int | None) -> None:
        self.table = RowTable(rows)
        self.limit = limit
        self.dropped = 0
        self._views: OrderedDict[bytes, View] = OrderedDict()
        self._found: OrderedDict[bytes, Any] = OrderedDict()
        self._shorten()

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows at the end."""
        self.table.append(rows)
        self._found.clear()
        self._shorten()

    def aggregate(self, where: Condition | None, name: str, field: str | None, part: Any) -> Any:
        """Return a number about a field's values; once found, it is kept until there are others."""
        question = marshal.dumps((where, name, field, part))
        if question not in self._found:
            numbers = self.numbers(where, None)
            values = None if field is None else _picked(self.table.column(field), numbers)
            self._found[question] = aggregate(name, values, len(numbers), part)
            while len(self._found) > MOST_FOUND:
                self._found.popitem(last=False)
        return self._found[question]

    def numbers(self, where: Condition | None, keys: Keys | None) -> Sequence[int]:
        """Return the numbers of the rows that meet a condition, in the order of some keys."""
        if where is None and keys is None:
            return range(len(self.table))
        name = marshal.dumps((where, keys))
        view = self._views.get(name)
        if view is None:
            view = View(self.dropped)
        self._bring_up(view, where, keys)
        # Only now: a view that raised is none.
        self._views[name] = view
        self._views.move_to_end(name)
        while len(self._views) > MOST_VIEWS:
            self._views.popitem(last=False)
        return view.numbers

    def _bring_up(self, view: View, where: Condition | None, keys: Keys | None) -> None:
        if gone := self.dropped - view.dropped:
            view.numbers = [number - gone for number in view.numbers if number >= gone]
            view.seen = max(0, view.seen - gone)
            view.dropped = self.dropped
        count = len(self.table)
        if view.seen == count and count:
            return
        fresh: Sequence[int] = range(view.seen, count)
        if where is not None:
            # Sorted in two ways, a condition is looked at once.
            if keys is not None and not view.seen:
                fresh = self.numbers(where, None)
            else:
                fresh = matching(self.table, where, fresh)
        numbers = [*view.numbers, *fresh]
        if keys is not None and (fresh or not view.seen):
            # Nearly in order already, which Python's sort takes in one go.
            numbers = ordered(self.table, keys_of(None, "asc", keys), numbers)
        view.numbers, view.seen = numbers, count

    def _shorten(self) -> None:
        if self.limit is not None and (over := len(self.table) - self.limit) > 0:
            self.table.drop(over)
            self.dropped += over


class Residents:
    """The datasets of one worker, by number, and the operations on them."""

    def __init__(self) -> None:
        self._residents: dict[int, Resident] = {}

    def operations(self) -> Mapping[str, Any]:
        """Return the operations, by name."""
        every = (
            self.load, self.load_url, self.append, self.count, self.window, self.aggregate,
            self.group_by, self.histogram, self.moving, self.release,
        )  # fmt: skip
        return {function.__name__: function for function in every}

    @operation
    def load(self, rows: list[Any], *, dataset: int, limit: int | None = None) -> dict[str, Any]:
        """Keep rows, and return what there is."""
        return self._keep(dataset, list(check_rows(rows)), limit)

    @operation
    async def load_url(
        self,
        *,
        dataset: int,
        url: str,
        token: str | None = None,
        limit: int | None = None,
        job: Job,
    ) -> dict[str, Any]:
        """Fetch rows, keep them, and return what there is."""
        return self._keep(dataset, await source.fetch_rows(url, token, job), limit)

    @operation
    def append(self, rows: list[Any], *, dataset: int) -> dict[str, Any]:
        """Add rows, and return what there is."""
        resident = self._resident(dataset)
        resident.append(check_rows(rows))
        return _described(resident)

    @operation
    def count(
        self, *, dataset: int, where: Condition | None = None, keys: Keys | None = None
    ) -> int:
        """Return how many rows there are, having brought them into order."""
        return len(self._resident(dataset).numbers(where, keys))

    @operation
    def window(
        self,
        *,
        dataset: int,
        start: int,
        stop: int,
        where: Condition | None = None,
        keys: Keys | None = None,
    ) -> dict[str, Any]:
        """Return the rows of a view from `start` to before `stop`, and how many it has."""
        resident = self._resident(dataset)
        numbers = resident.numbers(where, keys)
        if not 0 <= start <= stop or stop - start > LONGEST_WINDOW:
            raise InvalidCall(
                f"window: expected 0 ≤ start ≤ stop, at most {LONGEST_WINDOW} apart,"
                f" came {describe(start)} and {describe(stop)}"
            )
        rows = resident.table.rows
        return {"rows": [rows[n] for n in numbers[start:stop]], "count": len(numbers)}

    @operation
    def aggregate(
        self, *, dataset: int, wanted: list[dict[str, Any]], where: Condition | None = None
    ) -> list[Any]:
        """Return several aggregates at once."""
        resident = self._resident(dataset)
        return [
            resident.aggregate(where, name, field, part)
            for name, field, part in aggregates_of(wanted)
        ]

    @operation
    def group_by(
        self,
        *,
        dataset: int,
        field: str | list[str],
        aggregates: list[dict[str, Any]],
        where: Condition | None = None,
    ) -> list[dict[str, Any]]:
        """Return a row for each group."""
        table, numbers = self._rows(dataset, where)
        fields = [field] if isinstance(field, str) else field
        return grouped(table, fields, aggregates_of(aggregates), numbers)

    @operation
    def histogram(
        self,
        *,
        dataset: int,
        field: str,
        bins: int,
        low: float | None = None,
        high: float | None = None,
        where: Condition | None = None,
    ) -> dict[str, Any]:
        """Return how the values of a field are spread."""
        table, numbers = self._rows(dataset, where)
        values = _picked(table.column(field), numbers)
        return moving.histogram(values, bins=bins, low=low, high=high)

    @operation
    def moving(
        self,
        *,
        dataset: int,
        time_field: str,
        span: float | None = None,
        field: str | None,
        operation: str,
        points: int,
        percentile: float | None = None,
        where: Condition | None = None,
    ) -> list[dict[str, Any]]:
        """Return a moving aggregate; without a `span`, its windows just touch."""
        table, numbers = self._rows(dataset, where)
        times = _picked(table.column(time_field), numbers)
        values = None if field is None else _picked(table.column(field), numbers)
        return moving.moving(
            times, values, span=span, operation=operation, points=points, percentile=percentile
        )

    @operation
    def release(self, *, dataset: int) -> None:
        """Keep the rows no longer."""
        self._residents.pop(dataset, None)

    def _keep(self, dataset: int, rows: list[Row], limit: int | None) -> dict[str, Any]:
        resident = self._residents[dataset] = Resident(rows, limit)
        return _described(resident)

    def _resident(self, dataset: int) -> Resident:
        resident = self._residents.get(dataset)
        if resident is None:
            raise InvalidCall(f"dataset: expected one that is loaded, came {dataset}")
        return resident

    def _rows(self, dataset: int, where: Condition | None) -> tuple[RowTable, Sequence[int]]:
        resident = self._resident(dataset)
        return resident.table, resident.numbers(where, None)


def _described(resident: Resident) -> dict[str, Any]:
    return {
        "count": len(resident.table),
        "dropped": resident.dropped,
        "fields": resident.table.fields(),
    }


def _picked(column: list[Any], numbers: Sequence[int]) -> list[Any]:
    return column if isinstance(numbers, range) else [column[n] for n in numbers]
