"""Workers made of lists, and some in which a real `Host` runs: no browser, no threads."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.operation import marked
from services.platform import WorkerListener
from services.worker_messages import FromWorker, Hello, Ready, Start, encode
from workers.host import Host

Functions = Mapping[str, Callable[..., Any]]


class FakeWorker:
    """A worker that does nothing alone: a test sends what it would, and sees what was posted."""

    def __init__(self, listener: WorkerListener) -> None:
        self.listener = listener
        self.posted: list[tuple[dict[str, Any], list[bytes]]] = []
        self.gone = False
        self.refuses: Exception | None = None
        """What posting raises, if it does."""
        self._signs = 0
        self._sign = ""

    # The services' side

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        assert not self.gone, "a message was posted to a worker that is gone"
        assert all(type(buffer) is bytes for buffer in buffers)
        if self.refuses is not None:
            raise self.refuses
        self.posted.append((json.loads(header), list(buffers)))

    def stop_sign(self) -> str:
        assert not self.gone, "a sign was asked of a worker that is gone"
        if not self._sign:
            self._signs += 1
            self._sign = f"blob:{self._signs}"
        return self._sign

    def raise_stop_sign(self) -> None:
        self._sign = ""

    def terminate(self) -> None:
        self.gone = True
        self._sign = ""

    # The test's side; a worker that is gone is heard no more

    def send(self, message: FromWorker, *buffers: bytes) -> None:
        self.send_raw(encode(message), *buffers)

    def send_raw(self, header: object, *buffers: bytes) -> None:
        if not self.gone:
            self.listener.received(header, list(buffers))

    def fail(self, reason: str = "it broke") -> None:
        if not self.gone:
            self.gone = True
            self.listener.failed(reason)

    def begin(self, functions: Iterable[Callable[..., Any]] = ()) -> None:
        """Say hello, and be ready with some operations."""
        self.send(Hello(sys.version))
        self.send(Ready(tuple(marked(each)[0].as_data() for each in functions)))

    @property
    def headers(self) -> list[dict[str, Any]]:
        return [header for header, _ in self.posted]

    @property
    def kinds(self) -> list[str]:
        return [header["kind"] for header in self.headers]

    @property
    def runs(self) -> list[dict[str, Any]]:
        return [header for header in self.headers if header["kind"] == "run"]

    def is_there(self, sign: str) -> bool:
        """Tell whether there is something at a stop sign's URL."""
        return sign != "" and sign == self._sign


class FakeSource:
    """Gives a host some functions, or raises."""

    def __init__(self, functions: Functions | BaseException) -> None:
        self._functions = functions
        self.started: Start | None = None

    async def load(self, start: Start) -> Functions:
        self.started = start
        if isinstance(self._functions, BaseException):
            raise self._functions
        return self._functions


class FakePort:
    """A host's end of the wire: a list."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, Any], list[bytes]]] = []
        self.signs: list[str] = []
        """`busy` and `idle`, as they were called."""
        self.asked: list[tuple[str, bool]] = []

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        assert header.isascii()
        assert all(type(buffer) is bytes for buffer in buffers)
        self.posted.append((json.loads(header), list(buffers)))

    def busy(self, stop: str, interruptible: bool) -> None:
        self.signs.append("busy")
        self.asked.append((stop, interruptible))

    def idle(self) -> None:
        self.signs.append("idle")

    @property
    def headers(self) -> list[dict[str, Any]]:
        return [header for header, _ in self.posted]


class HostedWorker(FakeWorker):
    """A worker in which a real `Host` runs some functions; what is sent takes a turn each way."""

    def __init__(self, listener: WorkerListener, functions: Functions | BaseException) -> None:
        super().__init__(listener)
        self._loop = asyncio.get_running_loop()
        self._held: list[tuple[str, list[bytes]]] | None = None
        self.source = FakeSource(functions)
        self.host = Host(_HostPort(self), self.source)
        self._loop.call_soon(self._begin)

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        super().post(header, buffers)
        if self._held is not None:
            self._held.append((header, list(buffers)))
        else:
            self._loop.call_soon(self._deliver, header, list(buffers))

    def terminate(self) -> None:
        super().terminate()
        if self.host._running is not None:
            self.host._running[1].cancel()

    def hold(self) -> None:
        """Keep what is posted until `let_go`, and deliver it all at once then."""
        self._held = []

    def let_go(self) -> None:
        held, self._held = self._held or [], None
        for header, buffers in held:
            self._deliver(header, buffers)

    def _begin(self) -> None:
        if not self.gone:
            self.host.begin()

    def _deliver(self, header: str, buffers: list[bytes]) -> None:
        if not self.gone:
            self.host.received(header, buffers)


class _HostPort(FakePort):
    def __init__(self, worker: HostedWorker) -> None:
        super().__init__()
        self._worker = worker

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        super().post(header, buffers)
        self._worker._loop.call_soon(self._worker.send_raw, header, *buffers)
