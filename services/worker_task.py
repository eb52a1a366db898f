"""A call to a worker as an object."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any

from .worker_call import OnProgress, Progress

MOST_REPORTS = 1000
"""Reports that wait to be looked at; when more come, the oldest go."""


class WorkerTask:
    """Await it for the result, iterate over it for its progress, cancel it."""

    def __init__(self, begin: Callable[[OnProgress], Coroutine[Any, Any, Any]]) -> None:
        self._reports: deque[Progress] = deque(maxlen=MOST_REPORTS)
        self._news = asyncio.Event()
        self._task = asyncio.ensure_future(begin(self._told))
        self._task.add_done_callback(lambda _: self._news.set())

    def __await__(self) -> Generator[Any, None, Any]:
        return self._task.__await__()

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """Yield each report, and end with the call, however that ends: await it to know."""
        while True:
            while self._reports:
                yield self._reports.popleft()
            if self._task.done():
                return
            self._news.clear()
            await self._news.wait()

    def cancel(self) -> bool:
        """Stop the call; whoever awaits it gets a CancelledError."""
        return self._task.cancel()

    def done(self) -> bool:
        """Tell whether there is a result, or an error."""
        return self._task.done()

    def _told(self, progress: Progress) -> None:
        self._reports.append(progress)
        self._news.set()
