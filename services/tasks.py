"""Tasks that belong to somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Tasks:
    """Keeps the tasks it starts until they end, and can end them all.

    asyncio: "Save a reference to the result of this function, to avoid a task disappearing
    mid-execution. The event loop only keeps weak references to tasks."

    `report` is told of each exception, once.
    """

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        self._report = report
        self._running: set[asyncio.Future[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, awaitable: Awaitable[Any]) -> asyncio.Future[Any]:
        """Run `awaitable` as a task of its own."""
        task = asyncio.ensure_future(awaitable)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel all but the task that asks for it, which is about to finish what it does."""
        asking = asyncio.current_task() if self._running else None
        for task in tuple(self._running):
            if task is not asking:
                task.cancel()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(error)
