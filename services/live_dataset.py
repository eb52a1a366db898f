"""A dataset in a worker that grows as rows come over an event stream: none lost, none twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .dataset import Dataset
from .describe import describe
from .emitter import Unsubscribe
from .errors import InvalidFrame, RealtimeError
from .packing import Row
from .sse_client import SSEClient
from .tasks import Tasks
from .tokens import Token
from .worker_call import OnProgress
from .worker_manager import WorkerManager

ROWS = "rows"
"""The events that carry rows, as `{"rows": […]}`."""


class LiveDataset:
    """Loads rows by HTTP, then follows the stream from the last of them.

    Every row has a number called `id`, greater than that of the row before. `changed` is called
    after rows were added; `failed` once if they cannot be any more: then open it again. `events`
    is the dataset's alone, and must not begin where a former page has ended
    (`resume_after_reload=False`).
    """

    def __init__(
        self,
        workers: WorkerManager,
        events: SSEClient,
        url: str,
        *,
        limit: int,
        token: Token = None,
        changed: Callable[[], None],
        failed: Callable[[RealtimeError], None],
        report: Callable[[BaseException], None],
    ) -> None:
        self._workers = workers
        self._events = events
        self._url = url
        self._limit = limit
        self._token = token
        self._changed = changed
        self._failed = failed
        self._tasks = Tasks(report)
        self._subscriptions: list[Unsubscribe] = []
        self._waiting: list[Row] = []
        self._adding = False
        self._paused = False
        self._last = -1
        self.dataset: Dataset | None = None

    @property
    def paused(self) -> bool:
        """Whether rows that come have to wait."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._add_soon()

    async def open(self, on_progress: OnProgress | None = None) -> Dataset:
        """Load the rows and begin to follow; whatever was open before is closed.

        Raises what `WorkerManager.load_url` does.
        """
        self.close()
        dataset = await self._workers.load_url(
            self._url, limit=self._limit, token=self._token, timeout=120, on_progress=on_progress
        )
        try:
            last = await dataset.aggregate("max", "id") if len(dataset) else None
        except BaseException:
            dataset.release()
            raise
        self._last = last if isinstance(last, int) else -1
        self.dataset = dataset
        self._subscriptions = [
            self._events.on(ROWS, self._arrived),
            self._events.on("reset", self._reset),
        ]
        if self._last >= 0:
            self._events.start_after(str(self._last))
        self._events.connect()
        return dataset

    def close(self) -> None:
        """Follow no longer, and keep nothing."""
        self._tasks.cancel()
        while self._subscriptions:
            self._subscriptions.pop()()
            self._events.disconnect()
        if self.dataset is not None:
            self.dataset.release()
            self.dataset = None
        self._waiting.clear()
        self._adding = False

    def _arrived(self, payload: Any) -> None:
        rows = payload.get("rows") if isinstance(payload, dict) else None
        if not isinstance(rows, list):
            raise InvalidFrame(f"{ROWS}: expected an object with rows, came {describe(payload)}")
        for row in rows:
            number = row.get("id") if isinstance(row, dict) else None
            if type(number) is not int:
                raise InvalidFrame(f"{ROWS}: expected rows with a number as id, came {row!r:.80}")
            # What was loaded, or told before, is told again after some reconnects.
            if number > self._last:
                self._last = number
                self._waiting.append(row)
        # More than the dataset holds would go at once.
        del self._waiting[: max(0, len(self._waiting) - self._limit)]
        self._add_soon()

    def _add_soon(self) -> None:
        if self._waiting and not self._adding and not self._paused:
            self._adding = True
            self._tasks.spawn(self._add())

    async def _add(self) -> None:
        """Add what waits, and what comes meanwhile: the slower the worker, the more at once."""
        try:
            while self._waiting and self.dataset is not None and not self._paused:
                rows, self._waiting = self._waiting, []
                await self.dataset.append(rows)
                self._changed()
        except RealtimeError as error:
            self.close()
            self._failed(error)
        finally:
            self._adding = False

    def _reset(self, payload: Any) -> None:
        """Hear that what was missed cannot be told."""
        reason = payload.get("reason") if isinstance(payload, dict) else None
        error = InvalidFrame(f"the stream begins anew ({describe(reason)})")
        self.close()
        self._failed(error)
