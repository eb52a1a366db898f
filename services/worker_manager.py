"""Python in background workers: calls, a pool, and datasets that stay there.

    workers = WorkerManager("./workers/data_processor.py")
    cheap_first = await workers.process("sort", rows, {"field": "price", "order": "asc"})

A worker's file is any Python file with functions marked `@operation`. See `operation` for what
they may take, `packing` for what can travel, `dataset` for what stays.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import packing
from .dataset import Dataset
from .describe import describe
from .errors import ConfigurationError, InvalidCall, NotTransferable, WorkerError
from .operation import Operation, fields_named, marked
from .options import count, seconds
from .platform import Platform, default_platform
from .tasks import Tasks
from .tokens import Token, TokenSource
from .worker_call import Call, OnProgress
from .worker_files import WHEELS
from .worker_messages import Start
from .worker_pool import Pool
from .worker_slot import Limits, Slot
from .worker_task import WorkerTask

DEFAULT_URL = "./workers/data_processor.py"

LONGEST_HOLD = 0.008
"""Seconds for which the page's thread is held at a time, and then to the end of a chunk."""

LONGEST_RELEASE = 86_400
"""Seconds that a release may wait for its worker."""


class WorkerManager:
    """Runs the operations of a Python file in workers of its own.

    Args:
        url: the file, relative to the page.
        size: how many workers at most, but one less than the machine has processors.
        packages: names of packages that the file imports, installed before it is run.
        eager: whether the first worker starts at once, or, as the others do, when needed.
        queue_limit: how many calls may wait for a worker.
        start_timeout: seconds a worker may take until it is ready, its packages included.
        heartbeat_timeout: seconds without a sign of life after which a worker that has a call
            counts as hung. Python code gives signs by itself, at about every fiftieth round of
            a loop or call; a C function that takes longer than this, or `time.sleep`, does not.
            Where each round takes long, `Job.progress` is a sign too.
        stop_timeout: seconds that a call, timed out or cancelled, may take to stop before its
            worker is replaced.

    Raises ConfigurationError for options that are wrong.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        size: int = 1,
        packages: Sequence[str] = (),
        queue_limit: int = 1000,
        eager: bool = True,
        start_timeout: float = 60,
        heartbeat_timeout: float = 10,
        stop_timeout: float = 1,
        platform: Platform | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(f"url: expected text, came {describe(url)}")
        if isinstance(packages, str) or not all(isinstance(each, str) for each in packages):
            raise ConfigurationError(f"packages: expected names, came {describe(packages)}")
        platform = platform or default_platform()
        self.size = min(count("size", size, at_least=1), max(1, platform.processors - 1))
        """How many workers there are at most."""
        limits = Limits(
            seconds("start_timeout", start_timeout),
            seconds("heartbeat_timeout", heartbeat_timeout),
            seconds("stop_timeout", stop_timeout),
        )
        start = Start(platform.resolve(url), tuple(packages), platform.resolve(WHEELS))
        queue_limit = count("queue_limit", queue_limit, at_least=1)
        self._platform = platform
        self._tasks = Tasks(platform.report)
        self._pool = Pool(start, limits, self.size, queue_limit, platform)
        if eager:
            self._pool.begin()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What the file can do, by name; nothing before the first worker is ready."""
        return dict(self._pool.operations)

    @property
    def pending(self) -> int:
        """How many calls have no result yet."""
        return len(self._pool.calls)

    async def ready(self, timeout: float = 60) -> None:  # noqa: ASYNC109
        """Wait until a worker can be given calls. Raises WorkerError."""
        with self._pool.call("ready", 0, timeout, None) as call:
            await self._pool.until_known(call)

    async def process(
        self,
        type: str | Callable[..., Any],
        data: Any = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 30,  # noqa: ASYNC109 - it also stops the worker
        *,
        priority: float = 0,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Run an operation on `data` in a worker, and return its result.

        Rows that it selects or sorts are the caller's own. Of those that wait, the call with the
        highest `priority` is next. `timeout` counts from now, waiting included. Cancelled, or out
        of time, the call is stopped wherever it is.

        Raises:
            InvalidCall: there is no such operation, option or field.
            NotTransferable: the data cannot go to a worker, or the result is none.
            ConfigurationError: `timeout` or `priority` is none.
            QueueFull: `queue_limit` calls wait already.
            WorkerTimeout, WorkerCrashed, WorkerStartFailed, WorkerTerminated: there is no result.
            WorkerError: the operation raised; with its type, message and traceback.
        """
        # The rows of this moment: what comes back are their numbers.
        data = data[:] if isinstance(data, list) else data
        with self._pool.call(_name(type), priority, timeout, on_progress) as call:
            await self._pool.until_known(call)
            operation = self._pool.operation(call.operation)
            await self._pack(call, operation, data, operation.check(options or {}))
            self._pool.enqueue(call)
            layout, buffers = await call.outcome()
        if layout == "indices":
            return await packing.pick(data, buffers, _Pace(self._platform))
        return packing.unpack(buffers)

    def submit(
        self,
        type: str | Callable[..., Any],
        data: Any = None,
        options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> WorkerTask:
        """Begin what `process` does, and return a task: to await, to cancel, to iterate over.

        `async for progress in task` tells how far it is.
        """
        return WorkerTask(
            lambda told: self.process(type, data, options, on_progress=told, **settings)
        )

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return the operation `name` as a method: data first, options by keyword."""
        if name.startswith("_"):
            raise AttributeError(name)

        def call(data: Any = None, **options: Any) -> Awaitable[Any]:
            return self.process(name, data, options)

        return call

    async def load(
        self,
        rows: Sequence[packing.Row],
        *,
        limit: int | None = None,
        timeout: float = 60,  # noqa: ASYNC109
    ) -> Dataset:
        """Send rows to a worker, where they stay; return a handle to ask it about them.

        With `limit`, no more rows than that are kept: when more come, the oldest go.

        Raises what `process` does.
        """
        dataset = Dataset(self, limit)
        await dataset.load(packing.check_rows(rows), timeout=timeout)
        return dataset

    async def load_url(
        self,
        url: str,
        *,
        limit: int | None = None,
        token: Token = None,
        timeout: float = 60,  # noqa: ASYNC109
        on_progress: OnProgress | None = None,
    ) -> Dataset:
        """Let a worker fetch rows, a JSON array of objects or one a line; progress is in bytes.

        `token`, or what returns one, goes into an Authorization header.

        Raises what `process` does, and ConnectionFailed if the token's provider fails.
        """
        absolute = self._platform.resolve(url)
        dataset = Dataset(self, limit)
        secret = await TokenSource(token).get()
        await dataset.load_url(absolute, secret, timeout=timeout, on_progress=on_progress)
        return dataset

    def terminate(self) -> None:
        """End all workers. Calls that have no result fail, and so does every one after this."""
        self._pool.terminate()

    # What a `Dataset` needs

    async def ask(
        self,
        slot: Slot | None,
        operation: str,
        options: dict[str, Any],
        rows: Sequence[packing.Row] | None = None,
        *,
        timeout: float = 30,  # noqa: ASYNC109
        priority: float = 0,
        on_progress: OnProgress | None = None,
        limited: bool = True,
    ) -> tuple[Any, Slot]:
        """Run an operation on a dataset, in its worker or, to load it, in any.

        Returns the result and the worker. Raises DatasetLost if that is gone, and what `process`
        does.
        """
        rows = rows[:] if isinstance(rows, list) else rows
        with self._pool.call(operation, priority, timeout, on_progress, limited=limited) as call:
            if slot is not None:
                self._pool.bind(call, slot)
            await self._pool.until_known(call)
            call.run = replace(call.run, layout="rows")
            call.buffers = [packing.pack(options)]
            if rows is not None:
                call.buffers += await packing.pack_rows(rows, _Pace(self._platform))
            self._pool.enqueue(call)
            _, answer = await call.outcome()
            assert call.slot is not None
            return packing.unpack(answer), call.slot

    def forget(self, dataset: int, slot: Slot | None) -> asyncio.Future[None]:
        """Release a dataset in its worker, or wherever it is; who wants to know when awaits it."""
        slots = self._pool.alive if slot is None else [slot]
        return self._tasks.spawn(self._forget(dataset, slots))

    async def _forget(self, dataset: int, slots: Sequence[Slot]) -> None:
        async def forget(slot: Slot) -> None:
            # However many calls wait, and however long: nobody else would ever do it.
            with contextlib.suppress(WorkerError, NotTransferable):
                await self.ask(
                    slot,
                    "dataset.release",
                    {"dataset": dataset},
                    timeout=LONGEST_RELEASE,
                    limited=False,
                )

        await asyncio.gather(*map(forget, slots))

    async def _pack(
        self, call: Call, operation: Operation, data: Any, options: dict[str, Any]
    ) -> None:
        packed: list[bytes] = []
        layout, names, rows = "value", [], 0
        if operation.takes == "table":
            data, names, layout = packing.check_rows(data), fields_named(options), "columns"
            packed, rows = await packing.pack_columns(data, names, _Pace(self._platform)), len(data)
        elif operation.takes == "value":
            if isinstance(data, list) and len(data) > packing.CHUNK:
                layout, packed = "rows", await packing.pack_rows(data, _Pace(self._platform))
            else:
                packed = [packing.pack(data)]
        call.run = replace(call.run, layout=layout, columns=tuple(names), rows=rows)
        call.buffers = [packing.pack(options), *packed]


def _name(type: object) -> str:
    """Return the name of an operation, which may be given as its function."""
    if (mark := marked(type)) is not None:
        return mark[0].name
    if isinstance(type, str):
        return type
    raise InvalidCall(f"operation: expected a name, came {describe(type)}")


class _Pace:
    """Lets the page live for a moment if it was held long enough; otherwise goes on at once."""

    def __init__(self, platform: Platform) -> None:
        self._now = platform.now
        self._since = platform.now()

    async def __call__(self) -> None:
        if self._now() - self._since >= LONGEST_HOLD:
            # A turn of the browser's own loop: what waits there, and a frame, come first. It
            # costs as much as packing some thousand rows does.
            await asyncio.sleep(0)
            self._since = self._now()
