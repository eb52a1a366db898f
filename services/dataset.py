"""Rows that stay in a worker, and what one may ask about them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, DatasetLost, InvalidCall
from .options import count
from .packing import Row, check_rows
from .worker_call import OnProgress
from .worker_slot import Slot

if TYPE_CHECKING:
    from .worker_manager import WorkerManager

_numbers = itertools.count(1)

Condition = dict[str, Any]
Key = dict[str, str]


class View:
    """Some of a dataset's rows, in an order. What is asked is asked of the rows of that moment.

    `len()` is how many there were at the last answer. All methods raise DatasetLost once the
    dataset is released or its worker gone, InvalidCall for fields and operators that there are
    not, and otherwise what `WorkerManager.process` does.
    """

    def __init__(self, dataset: Dataset, where: Condition | None, keys: list[Key] | None) -> None:
        self._dataset = dataset
        self._where = where
        self._keys = keys
        self._count = 0

    def __len__(self) -> int:
        return self._count

    async def sort(
        self,
        field: str | None = None,
        order: str = "asc",
        *,
        keys: Sequence[Key] | None = None,
    ) -> View:
        """Return the same rows in another order: by one field, or by several keys."""
        if (field is None) == (keys is None):
            raise InvalidCall("sort: expected either field or keys, came both or neither")
        wanted = [{"field": field, "order": order}] if field is not None else keys
        view = View(self._dataset, self._where, [dict(key) for key in wanted or ()])
        return await view._counted()

    async def filter(self, condition: Mapping[str, Any] | None = None, **parts: Any) -> View:
        """Return those of the rows that meet a condition, in the same order.

        The condition is a dict, or its parts by keyword: `filter(field="price", operator="less",
        value=5)`, `filter(any=[…])`.
        """
        where = {**(condition or {}), **parts}
        both = where if self._where is None else {"all": [self._where, where]}
        return await View(self._dataset, both, self._keys)._counted()

    async def count(self) -> int:
        """Return how many rows there are now."""
        await self._counted()
        return self._count

    async def window(self, start: int, stop: int, *, priority: float = 0) -> list[Row]:
        """Return the rows from `start` to before `stop`."""
        answer = await self._ask(
            "window", priority=priority, keys=self._keys, start=start, stop=stop
        )
        self._count = answer["count"]
        rows: list[Row] = answer["rows"]
        return rows

    async def aggregate(
        self, operation: str, field: str | None = None, *, percentile: float | None = None
    ) -> Any:
        """Return a number about a field's values."""
        wanted = {"operation": operation, "field": field, "percentile": percentile}
        return (await self.aggregates([wanted]))[0]

    async def aggregates(self, wanted: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return several of them, each asked for as `{"operation", "field", "percentile"}`."""
        found: list[Any] = await self._ask("aggregate", wanted=[dict(each) for each in wanted])
        return found

    async def group_by(
        self, field: str | Sequence[str], aggregates: Sequence[Mapping[str, Any]] = ()
    ) -> list[Row]:
        """Return a row for each group: its fields, `count`, and `<operation>_<field>` each."""
        fields = field if isinstance(field, str) else list(field)
        found: list[Row] = await self._ask(
            "group_by", field=fields, aggregates=[dict(each) for each in aggregates]
        )
        return found

    async def histogram(
        self, field: str, bins: int = 20, *, low: float | None = None, high: float | None = None
    ) -> dict[str, Any]:
        """Return how a field's values are spread: `low`, `high`, `counts`, `missing`, `outside`."""
        found: dict[str, Any] = await self._ask(
            "histogram", field=field, bins=bins, low=low, high=high
        )
        return found

    async def moving(
        self,
        time_field: str,
        field: str | None = None,
        *,
        operation: str = "average",
        span: float | None = None,
        points: int = 100,
        percentile: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return an aggregate over moving windows of time, as `time`, `value` and `count`.

        Without a `span`, in the unit of the times, the windows touch and do not overlap.
        """
        found: list[dict[str, Any]] = await self._ask(
            "moving",
            time_field=time_field,
            field=field,
            operation=operation,
            span=span,
            points=points,
            percentile=percentile,
        )
        return found

    async def _counted(self) -> View:
        self._count = await self._ask("count", keys=self._keys)
        return self

    async def _ask(self, name: str, /, *, priority: float = 0, **options: Any) -> Any:
        return await self._dataset.ask(name, {"where": self._where, **options}, priority=priority)


class Dataset(View):
    """All rows of a dataset, in the order in which they came. Made by `WorkerManager.load`."""

    def __init__(self, manager: WorkerManager, limit: int | None) -> None:
        super().__init__(self, None, None)
        self._manager = manager
        self._limit = None if limit is None else count("limit", limit, at_least=1)
        self._number = next(_numbers)
        self._slot: Slot | None = None
        self._released = False
        self.fields: list[str] = []
        """The names of the rows' fields."""
        self.dropped = 0
        """How many rows had to go because of the limit."""

    async def load(self, rows: Sequence[Row], *, timeout: float) -> None:  # noqa: ASYNC109
        """Send the rows there; once."""
        await self._load("load", {}, rows, timeout, None)

    async def load_url(
        self,
        url: str,
        token: str | None,
        *,
        timeout: float,  # noqa: ASYNC109
        on_progress: OnProgress | None,
    ) -> None:
        """Let them be fetched there; once."""
        await self._load("load_url", {"url": url, "token": token}, None, timeout, on_progress)

    async def append(self, rows: Sequence[Row]) -> int:
        """Add rows at the end; return how many there are then."""
        answer, _ = await self._manager.ask(
            self._place(), "dataset.append", {"dataset": self._number}, check_rows(rows)
        )
        self._take(answer)
        return self._count

    def release(self) -> asyncio.Future[None]:
        """Keep the rows no longer. Need not be awaited."""
        self._released = True
        return self._manager.forget(self._number, self._slot)

    async def ask(self, operation: str, options: dict[str, Any], *, priority: float = 0) -> Any:
        """Ask the worker that has the rows."""
        answer, _ = await self._manager.ask(
            self._place(),
            f"dataset.{operation}",
            {"dataset": self._number, **options},
            priority=priority,
        )
        return answer

    async def _load(
        self,
        operation: str,
        options: dict[str, Any],
        rows: Sequence[Row] | None,
        timeout: float,  # noqa: ASYNC109
        on_progress: OnProgress | None,
    ) -> None:
        if self._slot is not None:
            raise ConfigurationError("load: expected a dataset without rows, came one with some")
        try:
            answer, self._slot = await self._manager.ask(
                None,
                f"dataset.{operation}",
                {"dataset": self._number, "limit": self._limit, **options},
                rows,
                timeout=timeout,
                on_progress=on_progress,
            )
        except BaseException:
            # Nobody would ever release it, should the worker have got it all the same.
            self.release()
            raise
        self._take(answer)

    def _take(self, answer: Mapping[str, Any]) -> None:
        self._count = answer["count"]
        self.dropped = answer["dropped"]
        self.fields = answer["fields"]

    def _place(self) -> Slot:
        if self._released:
            raise DatasetLost("the dataset was released: load it again")
        assert self._slot is not None
        return self._slot
