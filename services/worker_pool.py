"""Workers, and the calls that wait for one."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from .describe import describe
from .errors import (
    ConfigurationError,
    DatasetLost,
    InvalidCall,
    QueueFull,
    WorkerError,
    WorkerStartFailed,
    WorkerTerminated,
)
from .operation import Operation
from .options import seconds
from .platform import Platform
from .worker_call import Call, OnProgress
from .worker_messages import Start
from .worker_slot import Limits, Slot

READY_MARK = "worker-ready"


class Pool:
    """At most `size` workers, and at most `queue_limit` calls that none of them has yet.

    The first worker starts with `begin` or the first call, another when a call would have to
    wait. One that is lost is replaced at once, unless it could not be started, or died without
    having been of use: then the next call tries again. Whoever waits while there is no worker
    left fails.
    """

    def __init__(
        self, start: Start, limits: Limits, size: int, queue_limit: int, platform: Platform
    ) -> None:
        self._start = start
        self._limits = limits
        self._size = size
        self._queue_limit = queue_limit
        self._platform = platform
        self.operations: dict[str, Operation] = {}
        self.calls: dict[int, Call] = {}
        self._queue: list[tuple[float, int, Call]] = []
        self._slots: list[Slot] = []
        self._known: asyncio.Future[None] | None = None
        self._number = 0
        self._was_ready = False
        self._may_start = True
        """Whether there was a new call since a worker could not be started."""
        self._terminated: WorkerTerminated | None = None

    def begin(self) -> None:
        """Start the first worker. Raises what the browser has against it."""
        self._slots.append(Slot(self, self._start, self._limits, self._platform))

    @property
    def alive(self) -> list[Slot]:
        """The workers there are."""
        return list(self._slots)

    @contextmanager
    def call(
        self,
        operation: str,
        priority: float,
        timeout: float,
        on_progress: OnProgress | None,
        *,
        limited: bool = True,
    ) -> Iterator[Call]:
        """Make a call that has an end however its caller leaves it.

        Raises WorkerTerminated, QueueFull if it is `limited`, and ConfigurationError for a timeout
        or a priority that is none.
        """
        seconds("timeout", timeout)
        if not isinstance(priority, (int, float)) or priority != priority:
            raise ConfigurationError(f"priority: expected a number, came {describe(priority)}")
        if self._terminated is not None:
            raise WorkerTerminated(self._terminated.message)
        # What stops was left by its caller, and is no call any more.
        busy = sum(slot.state == "running" for slot in self._slots)
        if limited and len(self.calls) - busy >= self._queue_limit:
            raise QueueFull(f"workers: expected at most {self._queue_limit} waiting calls")
        self._number += 1
        call = Call(
            self._number,
            operation,
            priority=priority,
            on_progress=on_progress,
            platform=self._platform,
        )
        self.calls[call.id] = call
        call.limit(timeout)
        try:
            yield call
        finally:
            self._end(call)

    def operation(self, name: str) -> Operation:
        """Return what is known of an operation. Raises InvalidCall, which lists what there is."""
        if (operation := self.operations.get(name)) is None:
            there = ", ".join(self.operations) or "none at all"
            raise InvalidCall(f"operation: expected one of {there}, came {describe(name)}")
        return operation

    async def until_known(self, call: Call) -> None:
        """Wait until a worker has told what it can do. Raises what has ended the call."""
        call.check()
        if not self._was_ready:
            self._may_start = True
            if not self._slots:
                self._add_slot()
            if self._known is None:
                self._known = asyncio.get_running_loop().create_future()
            await call.wait_for(self._known)

    def bind(self, call: Call, slot: Slot) -> None:
        """Let a call run nowhere else. Raises DatasetLost if that worker is gone."""
        if slot not in self._slots:
            raise DatasetLost("the dataset's worker had to be replaced: load it again")
        call.slot = slot

    def enqueue(self, call: Call) -> None:
        """Give a call to a worker, or let it wait for one. Raises what has ended the call."""
        call.check()
        # The highest priority first, then the oldest.
        heapq.heappush(self._queue, (-call.priority, call.id, call))
        self._may_start = True
        self._dispatch()

    def terminate(self) -> None:
        """End every worker and every call."""
        self._terminated = WorkerTerminated("the manager was terminated")
        for call in tuple(self.calls.values()):
            call.failed(self._terminated)
        self._queue.clear()
        for slot in tuple(self._slots):
            slot.end(self._terminated)

    # The slots' side: implements `services.worker_slot.Owner`.

    def ready(self, operations: Sequence[Operation]) -> None:
        """Take what the first worker tells, and give it a call."""
        if not self._was_ready:
            self._was_ready = True
            self.operations = {operation.name: operation for operation in operations}
            self._platform.mark(READY_MARK)
            if self._known is not None:
                self._known.set_result(None)
                self._known = None
        self._dispatch()

    def free(self) -> None:
        """Give a worker another call."""
        self._dispatch()

    def ended(self, slot: Slot, error: WorkerError) -> None:
        """Replace a worker that is gone."""
        self._slots.remove(slot)
        if self._terminated is not None:
            return
        for call in tuple(self.calls.values()):
            if call.slot is slot:
                call.failed(DatasetLost(f"the dataset went with its worker ({error})"))
        if isinstance(error, WorkerStartFailed):
            self._not_started(error)
            return
        if slot.was_of_use:
            self._add_slot()
        self._dispatch()

    def _end(self, call: Call) -> None:
        del self.calls[call.id]
        waiting = [entry for entry in self._queue if entry[2] is not call]
        if len(waiting) < len(self._queue):
            heapq.heapify(waiting)
            self._queue = waiting
        call.close()
        if call.slot is not None:
            call.slot.stop(call)

    def _dispatch(self) -> None:
        kept = []
        while self._queue:
            entry = heapq.heappop(self._queue)
            call = entry[2]
            if call.is_over:
                continue
            slot = self._idle(call)
            if slot is None:
                kept.append(entry)
                continue
            call.slot = slot
            call.run = replace(call.run, stop=slot.stop_sign())
            slot.run(call)
        self._queue = kept  # in order, which is a heap too
        anywhere = sum(entry[2].slot is None for entry in kept)
        starting = sum(slot.state == "starting" for slot in self._slots)
        if anywhere > starting and len(self._slots) < self._size and self._may_start:
            self._add_slot()

    def _idle(self, call: Call) -> Slot | None:
        wanted = self._slots if call.slot is None else [call.slot]
        return next((slot for slot in wanted if slot.state == "idle"), None)

    def _add_slot(self) -> None:
        try:
            self._slots.append(Slot(self, self._start, self._limits, self._platform))
        except Exception as error:
            self._not_started(WorkerStartFailed(str(error), type(error).__name__))

    def _not_started(self, error: WorkerStartFailed) -> None:
        self._may_start = False
        if not self._slots:
            for call in tuple(self.calls.values()):
                call.failed(error)
