"""Runs a file's operations in a worker, one call at a time, and answers each."""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from services import packing
from services.describe import describe
from services.errors import InvalidCall, InvalidFrame, WorkerError
from services.operation import Operation, marked
from services.packing import Indices
from services.worker_messages import (
    Failed,
    FromWorker,
    Hello,
    Progressed,
    Raised,
    Ready,
    Returned,
    Run,
    Start,
    Stop,
    Stopped,
    decode_to_worker,
    encode,
)
from workers.residents import Residents
from workers.tables import SentTable

PROGRESS_INTERVAL = 0.05
"""Seconds between two reports of progress: more would only keep the page busy."""

LONGEST_TEXT = 100_000
"""Characters of a traceback or a message."""


class Port(Protocol):
    """The worker's end of the wire."""

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        """Send a message."""

    def busy(self, stop: str, interruptible: bool) -> None:
        """Begin to give signs of life.

        With `interruptible`, KeyboardInterrupt is raised in what runs once nothing is at `stop`.
        """

    def idle(self) -> None:
        """Give no more signs of life, and raise nothing any more."""


class Source(Protocol):
    """Where a worker's file and packages come from."""

    async def load(self, start: Start) -> Mapping[str, Any]:
        """Install the packages, run the file and return what it has defined."""


class Host:
    """A worker's life: it says hello, is told what to load, and then runs what it is told to."""

    def __init__(self, port: Port, source: Source) -> None:
        self._port = port
        self._source = source
        self._operations: dict[str, tuple[Any, Operation, str]] = {}
        # With a dot, which no function's name has.
        self._resident = {
            f"dataset.{name}": found
            for name, found in _operations(Residents().operations()).items()
        }
        self._started = False
        self._running: tuple[int, asyncio.Task[None]] | None = None
        self._job: Call | None = None

    def begin(self) -> None:
        """Say hello."""
        self._post(Hello(sys.version))

    def received(self, header: object, buffers: list[bytes]) -> None:
        """Take a message of the manager's. What is none ends as an exception in the console."""
        match decode_to_worker(header):
            case Start() as start:
                if self._started:
                    raise InvalidFrame("start: expected once, came again")
                self._started = True
                self._task = asyncio.ensure_future(self._load(start))
            case Run(id=id) as run:
                if self._running is not None:
                    raise InvalidFrame(f"run: expected none while one runs, came {id}")
                function = self._find(run.operation)[0]
                if inspect.iscoroutinefunction(function):
                    task = asyncio.ensure_future(self._run_async(run, buffers))
                    task.add_done_callback(lambda task: self._never_ran(run, task))
                    self._running = (id, task)
                else:
                    self._run(run, buffers)
            case Stop(id=id):
                # For a function that is not async this comes too late: it is interrupted.
                if self._running is not None and self._running[0] == id:
                    self._running[1].cancel()

    async def _load(self, start: Start) -> None:
        try:
            self._operations = _operations(await self._source.load(start))
        except BaseException as error:
            self._post(Failed(*_envelope(error)))
        else:
            self._post(
                Ready(tuple(operation.as_data() for _, operation, _ in self._operations.values()))
            )

    def _run(self, run: Run, buffers: list[bytes]) -> None:
        try:
            answer, packed = _returned(run, self._begin(run, buffers, interruptible=True))
        except BaseException as error:  # also SystemExit: the worker itself goes on
            answer, packed = _ended(run, error)
        finally:
            self._port.idle()
        self._answer(answer, packed)

    async def _run_async(self, run: Run, buffers: list[bytes]) -> None:
        try:
            answer, packed = _returned(run, await self._begin(run, buffers, interruptible=False))
        except BaseException as error:
            answer, packed = _ended(run, error)
        finally:
            self._port.idle()
        self._running = None
        self._answer(answer, packed)

    def _never_ran(self, run: Run, task: asyncio.Task[None]) -> None:
        """Answer for a call that was stopped before it began: nothing in it ran, or answered."""
        if task.cancelled():
            self._running = None
            self._answer(Stopped(run.id), [])

    def _answer(self, message: FromWorker, buffers: list[bytes]) -> None:
        if self._job is not None:
            # Whoever still has it tells of a call that is over.
            self._job.is_over = True
            self._job = None
        self._post(message, buffers)

    def _begin(self, run: Run, buffers: list[bytes], *, interruptible: bool) -> Any:
        """Call the operation. An interruption ends within, or is raised here."""
        function, wanted, job = self._find(run.operation)
        if wanted is None:
            there = ", ".join(self._operations)
            raise InvalidCall(f"operation: expected one of {there}, came {describe(run.operation)}")
        options = wanted.check(packing.unpack(buffers[:1]))
        values = [] if wanted.takes == "nothing" else [_data(run, buffers[1:])]
        if job:
            options[job] = self._job = Call(run.id, self._post)
        self._port.busy(run.stop, interruptible)
        result = function(*values, **options)
        if interruptible:
            self._port.idle()
        return result

    def _find(self, name: str) -> tuple[Any, Operation | None, str]:
        found = self._resident.get(name) or self._operations.get(name)
        return found or (None, None, "")

    def _post(self, message: FromWorker, buffers: Sequence[bytes] = ()) -> None:
        self._port.post(encode(message), buffers)


class Call:
    """Implements `services.operation.Job`."""

    def __init__(self, id: int, post: Any) -> None:
        self.is_over = False
        self._id = id
        self._post = post
        self._next = 0.0

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell the caller how far this is."""
        if self.is_over:
            return
        if not math.isfinite(done):
            raise ValueError(f"progress, done: expected a finite number, came {describe(done)}")
        if total is not None and not math.isfinite(total):
            total = None
        now = time.monotonic()
        if now >= self._next or (total is not None and done >= total):
            self._next = now + PROGRESS_INTERVAL
            total = None if total is None else float(total)
            self._post(Progressed(self._id, float(done), total, str(note)))


def _operations(found: Mapping[str, Any]) -> dict[str, tuple[Any, Operation, str]]:
    """Return the functions that are operations, with what was noted of them, by name."""
    marks = [(value, marked(value)) for value in found.values()]
    return {mark[0].name: (value, *mark) for value, mark in marks if mark is not None}


def _data(run: Run, buffers: list[bytes]) -> Any:
    match run.layout:
        case "columns":
            columns = packing.unpack_columns(buffers, len(run.columns))
            return SentTable(dict(zip(run.columns, columns, strict=True)), run.rows)
        case "rows":
            return packing.unpack_rows(buffers)
    return packing.unpack(buffers)


def _returned(run: Run, result: Any) -> tuple[FromWorker, list[bytes]]:
    if isinstance(result, Indices):
        return Returned(run.id, "indices"), [packing.pack_indices(result)]
    return Returned(run.id, "value"), [packing.pack(result)]


def _ended(run: Run, error: BaseException) -> tuple[FromWorker, list[bytes]]:
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return Stopped(run.id), []
    try:
        return Raised(run.id, *_envelope(error)), []
    except KeyboardInterrupt:  # while the error's own text was made
        return Stopped(run.id), []


def _envelope(error: BaseException) -> tuple[str, str, str]:
    """Return type, message and traceback, whatever the exception is like.

    Raises KeyboardInterrupt: to make the text of some takes for ever.
    """
    if isinstance(error, WorkerError) and vars(error).get("traceback"):
        return error.type, error.message, error.traceback
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as unspeakable:
        message = f"(its text raised {type(unspeakable).__name__})"
    try:
        # Our own frames, which led there, tell nobody anything.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace))
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = ""
    message = message.encode("utf-8", "backslashreplace").decode()
    text = text.encode("utf-8", "backslashreplace").decode()
    return type(error).__name__, message[:LONGEST_TEXT], text[-LONGEST_TEXT:]
