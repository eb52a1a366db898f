"""One place in a pool of workers, and the life of the worker in it.

`starting` until it is ready, then `idle`, `running` while it has a call, `stopping` once that
is to end, and `ended`. A worker is never used again after it crashed, hung, or did not stop in
time: its place takes another.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .describe import describe
from .errors import (
    InvalidCall,
    InvalidFrame,
    NotTransferable,
    WorkerCrashed,
    WorkerError,
    WorkerHung,
    WorkerStartFailed,
)
from .operation import Operation
from .platform import Cancel, Platform
from .worker_messages import (
    Alive,
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
    decode_from_worker,
    encode,
)

LATE = 1.0
"""Seconds by which a timer is late in a page that was not there to hear its worker."""


class Running(Protocol):
    """A call that a worker has."""

    id: int
    run: Run
    buffers: Sequence[bytes]

    def progressed(self, message: Progressed) -> None:
        """Hear how far it is."""

    def returned(self, layout: str, buffers: list[bytes]) -> None:
        """Take the result."""

    def failed(self, error: BaseException) -> None:
        """Take what became of it instead. Does nothing once there is a result."""


class Owner(Protocol):
    """Who has the slot."""

    def ready(self, operations: Sequence[Operation]) -> None:
        """Hear that a worker can be given calls, and what it can do."""

    def free(self) -> None:
        """Hear that one can be given another."""

    def ended(self, slot: Slot, error: WorkerError) -> None:
        """Hear that the worker is gone, and why; what it had has been told."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: until a worker is ready, without a sign of life, and to stop in."""

    start_timeout: float
    heartbeat_timeout: float
    stop_timeout: float


class Slot:
    """A worker from its start to its end. `owner` is never called before this returns."""

    def __init__(self, owner: Owner, start: Start, limits: Limits, platform: Platform) -> None:
        self.state = "starting"
        self.was_of_use = False
        """Whether it has had a call."""
        self._owner = owner
        self._start = start
        self._limits = limits
        self._platform = platform
        self._call: Running | None = None
        self._timer: Cancel | None = None
        self._worker = platform.open_worker(self)
        seconds = limits.start_timeout
        self._expect(seconds, WorkerStartFailed(f"the worker was not ready within {seconds:g} s"))

    def run(self, call: Running) -> None:
        """Give the worker a call, which it must be `idle` for."""
        self.state = "running"
        self.was_of_use = True
        self._call = call
        self._watch()
        try:
            self._worker.post(encode(call.run), call.buffers)
        except Exception as error:  # too much to be copied, say: the worker knows nothing of it
            self._call = None
            self._expect_nothing()
            self.state = "idle"
            call.failed(NotTransferable(f"the call could not be posted: {error}"))

    def stop_sign(self) -> str:
        """Return what a call is to be sent with, so that it can be stopped."""
        return self._worker.stop_sign()

    def stop(self, call: Running) -> None:
        """Ask the worker to stop a call, if it has it, and replace the worker if it does not."""
        if self._call is not call or self.state != "running":
            return
        self.state = "stopping"
        self._worker.raise_stop_sign()
        self._worker.post(encode(Stop(call.id)), [])
        seconds = self._limits.stop_timeout
        self._expect(seconds, WorkerCrashed(f"a call did not stop within {seconds:g} s"))

    def end(self, error: WorkerError) -> None:
        """Terminate the worker; what it has fails with `error`."""
        if self.state == "ended":
            return
        self.state = "ended"
        self._expect_nothing()
        self._worker.terminate()
        call, self._call = self._call, None
        if call is not None:
            call.failed(error)
        self._owner.ended(self, error)

    # The worker's side: implements `services.platform.WorkerListener`.

    def received(self, header: object, buffers: list[bytes]) -> None:
        """Take a message of the worker's; what is none, or comes at a wrong time, ends it."""
        if self.state == "ended":
            return
        try:
            self._take(decode_from_worker(header), buffers)
        except InvalidFrame as error:
            lost = WorkerStartFailed if self.state == "starting" else WorkerCrashed
            self.end(lost(f"the worker sent what is no message: {error}"))

    def failed(self, reason: str) -> None:
        """Hear that the worker is lost."""
        if self.state == "starting":
            self.end(WorkerStartFailed(reason))
        else:
            self.end(WorkerCrashed(f"the worker died: {reason}"))

    def _take(self, message: FromWorker, buffers: list[bytes]) -> None:
        match message:
            case Hello() | Ready() | Failed() if self.state != "starting":
                raise InvalidFrame(f"{message.kind}: expected while it starts")
            case Hello(python=python):
                # What is packed by one version need not mean the same to another.
                if python != sys.version:
                    ours, theirs = describe(sys.version), describe(python)
                    raise InvalidFrame(f"hello: expected Python {ours}, came {theirs}")
                self._worker.post(encode(self._start), [])
            case Ready(operations=data):
                self._ready(data)
            case Failed(type=type, message=text, traceback=traceback):
                self.end(WorkerStartFailed(text, type, traceback))
            case Alive():
                if self.state == "running":
                    self._watch()
            case Progressed() | Returned() | Raised() | Stopped():
                if self._call is None or message.id != self._call.id:
                    raise InvalidFrame(f"{message.kind}: expected a call's own id, came another")
                self._answered(self._call, message, buffers)

    def _ready(self, data: Sequence[object]) -> None:
        operations = [Operation.from_data(each) for each in data]
        known = [operation for operation in operations if operation is not None]
        if len(known) < len(operations):
            raise InvalidFrame("ready: expected operations, came something else")
        self._expect_nothing()
        self.state = "idle"
        self._owner.ready(known)

    def _answered(self, call: Running, message: FromWorker, buffers: list[bytes]) -> None:
        match message:
            case Progressed():
                if self.state == "running":
                    self._watch()
                    call.progressed(message)
                return
            case Returned(layout=layout):
                call.returned(layout, buffers)
            case Raised(type=type, message=text, traceback=traceback):
                if type == InvalidCall.__name__:
                    call.failed(InvalidCall(text, traceback=traceback))
                else:
                    call.failed(WorkerError(text, type, traceback))
            case Stopped():
                call.failed(WorkerError("the worker stopped the call"))
        self._call = None
        self._expect_nothing()
        self.state = "idle"
        self._owner.free()

    def _watch(self) -> None:
        seconds = self._limits.heartbeat_timeout
        self._expect(seconds, WorkerHung(f"the worker gave no sign of life for {seconds:g} s"))

    def _expect(self, seconds: float, otherwise: WorkerError, *, again: bool = True) -> None:
        self._expect_nothing()
        late = self._platform.now() + seconds + LATE

        def over() -> None:
            # A page that slept, or was busy, may not have heard yet what came meanwhile.
            if again and self._platform.now() > late:
                self._expect(seconds, otherwise, again=False)
            else:
                self.end(otherwise)

        self._timer = self._platform.call_later(seconds, over)

    def _expect_nothing(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None
