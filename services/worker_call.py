"""One call to a worker, from the caller's side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .errors import WorkerTimeout
from .platform import Cancel, Platform
from .worker_messages import Progressed, Run
from .worker_slot import Slot


class Progress(NamedTuple):
    """How far a call is: `done` of `total`, None where that is not known, and of what."""

    done: float
    total: float | None
    note: str


OnProgress = Callable[[Progress], object]


class Call:
    """What a caller waits for. It ends once: with a result, an error, or nobody waiting."""

    def __init__(
        self,
        id: int,
        operation: str,
        *,
        priority: float,
        on_progress: OnProgress | None,
        platform: Platform,
    ) -> None:
        self.id = id
        self.operation = operation
        self.priority = priority
        self.run = Run(id, operation, "value")
        self.buffers: Sequence[bytes] = ()
        self.slot: Slot | None = None
        """Where it runs, or the only place where it may."""
        self._on_progress = on_progress
        self._platform = platform
        self._timer: Cancel | None = None
        loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[tuple[str, list[bytes]]] = loop.create_future()

    @property
    def is_over(self) -> bool:
        """Whether there is a result, or an error instead."""
        return self._outcome.done()

    def limit(self, timeout: float) -> None:
        """Let it fail after some seconds from now."""
        error = WorkerTimeout(f"{self.operation}: no result within {timeout:g} s")
        self._timer = self._platform.call_later(timeout, lambda: self.failed(error))

    async def outcome(self) -> tuple[str, list[bytes]]:
        """Wait for the result: its layout and its buffers. Raises WorkerError."""
        return await asyncio.shield(self._outcome)

    async def wait_for(self, other: asyncio.Future[Any]) -> None:
        """Wait for something without which this cannot begin. Raises what ended this instead."""
        await asyncio.wait([self._outcome, other], return_when=asyncio.FIRST_COMPLETED)
        self.check()

    def check(self) -> None:
        """Raise what has ended this, if anything has."""
        if self._outcome.done():
            self._outcome.result()

    def close(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer()
            self._timer = None
        if self._outcome.done() and not self._outcome.cancelled():
            self._outcome.exception()  # seen, also where nobody looked
        self._outcome.cancel()

    # The slot's side: implements `services.worker_slot.Running`.

    def progressed(self, message: Progressed) -> None:
        """Tell the caller how far this is."""
        if self._on_progress is not None and not self.is_over:
            try:
                self._on_progress(Progress(message.done, message.total, message.note))
            except Exception as error:
                self._platform.report(error)

    def returned(self, layout: str, buffers: list[bytes]) -> None:
        """Take the result."""
        if not self.is_over:
            self._outcome.set_result((layout, buffers))

    def failed(self, error: BaseException) -> None:
        """Take an error in its place."""
        if not self.is_over:
            self._outcome.set_exception(error)
