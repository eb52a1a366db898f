"""A browser made of lists: its clock moves when told, its sockets and streams do nothing alone."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from services.errors import ConfigurationError, ConnectionFailed, StorageFailed
from services.platform import (
    Callback,
    Cancel,
    EventStreamListener,
    Frame,
    HTTPAnswer,
    SocketListener,
    StreamEvent,
    Watcher,
    WorkerListener,
)
from services.replica import ReplicaListener
from tests.support.fake_origin import FakeChannel, FakeLock, FakeOrigin
from tests.support.fake_replica import FakeDocumentStore, FakeReplica, Record
from tests.support.fake_worker import FakeWorker, Functions, HostedWorker

PAGE = "https://page.example/app/"


async def settle() -> None:
    """Let the tasks that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass(eq=False)
class FakeSocket:
    """A socket, and the server at its other end."""

    url: str
    listener: SocketListener
    sent: list[Any] = field(default_factory=list)
    closed_with: tuple[int, str] | None = None
    gone: bool = False
    buffered: int = 0

    # What the client does
    def send(self, frame: Frame) -> None:
        assert not self.gone, "a frame was sent on a socket that is gone"
        assert isinstance(frame, (str, bytes))
        self.sent.append(frame)

    def close(self, code: int, reason: str) -> None:
        assert code == 1000 or 3000 <= code <= 4999
        assert len(reason.encode()) <= 123
        assert not self.gone, "a socket was closed twice"
        self.closed_with = (code, reason)
        self.gone = True

    # What the server does; a closed socket still has news now and then
    def accept(self) -> None:
        self.listener.opened()

    def deliver(self, type_: str, payload: Any = None, **more: Any) -> None:
        self.deliver_raw(json.dumps({"type": type_, "payload": payload, "timestamp": 1, **more}))

    def deliver_raw(self, *frames: Frame) -> None:
        self.listener.received(frames)

    def drop(self, code: int = 1006, reason: str = "") -> None:
        self.gone = True
        self.listener.closed(code, reason)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.sent]

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]


@dataclass(eq=False)
class FakeStream:
    """An event stream, and the server at its other end."""

    url: str
    listener: EventStreamListener
    with_credentials: bool
    last_event_id: str
    token: str | None
    gone: bool = False

    def accept(self, position: str = "") -> None:
        self.listener.opened(position)

    def comment(self) -> None:
        self.listener.alive()

    def deliver(self, event: str, data: str, last_event_id: str = "") -> None:
        self.listener.received([StreamEvent(event, data, last_event_id)])

    def drop(
        self,
        status: int | None = None,
        reason: str = "the stream ended",
        retry_after: float | None = None,
    ) -> None:
        self.gone = True
        self.listener.closed(status, reason, retry_after)

    def cancel(self) -> None:
        assert not self.gone, "a stream was closed twice"
        self.gone = True


class FakePlatform:
    """Implements `services.platform.Platform`. Several tabs of one browser share an `origin`."""

    def __init__(self, seed: int = 0, origin: FakeOrigin | None = None) -> None:
        self.origin = origin or FakeOrigin()
        self.can_share = True
        self.title = "Page"
        self._title_watchers: list[Callback] = []
        self.time = 1000.0
        self.wall_ahead = 0.0
        self.sockets: list[FakeSocket] = []
        self.streams: list[FakeStream] = []
        self.requests: list[tuple[str, str, str | None, float]] = []
        self.answers: list[HTTPAnswer | Exception] = []
        self.reported: list[BaseException] = []
        self.refuse_sockets = False
        self._random = random.Random(seed)
        self._timers: list[tuple[float, Callback]] = []
        self.is_visible = True
        self.storage: dict[str, str] = {}
        self._watchers: list[Watcher] = []
        self.processors = 9
        self.marks: list[str] = []
        self.replicas: list[FakeReplica] = []
        self.stores: list[FakeDocumentStore] = []
        self.refuse_storage = False
        self.broken_records = 0
        self.workers: list[FakeWorker] = []
        self.refuse_workers: Exception | None = None
        """What opening a worker raises, if it does."""
        self.functions: Functions | BaseException | None = None
        """What workers that really run are to have, or to raise; None for such that do nothing."""

    # The test's side

    @property
    def socket(self) -> FakeSocket:
        return self.sockets[-1]

    @property
    def stream(self) -> FakeStream:
        return self.streams[-1]

    @property
    def worker(self) -> FakeWorker:
        return self.workers[-1]

    @property
    def open_workers(self) -> int:
        return sum(not worker.gone for worker in self.workers)

    @property
    def open_sockets(self) -> int:
        return sum(not socket.gone for socket in self.sockets)

    @property
    def open_streams(self) -> int:
        return sum(not stream.gone for stream in self.streams)

    @property
    def timers(self) -> int:
        return len(self._timers)

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        end = self.time + seconds
        while due := [timer for timer in self._timers if timer[0] <= end]:
            timer = min(due, key=lambda timer: timer[0])
            self._timers.remove(timer)
            self.time = max(self.time, timer[0])
            timer[1]()
        self.time = end

    def sleep(self, seconds: float, *, monotonic: bool = True) -> None:
        """Let the machine sleep: nothing fires until it wakes, and then late."""
        if monotonic:
            self.time += seconds
        else:
            self.wall_ahead += seconds
        self.advance(0)

    def rename(self, title: str) -> None:
        """Give the page another title."""
        self.title = title
        for changed in tuple(self._title_watchers):
            changed()

    def fire(self, event: str, *details: Any) -> None:
        """Tell of `online`, `offline`, `visible`, `hidden`, `left` or `returned`."""
        if event in ("visible", "hidden"):
            self.is_visible = event == "visible"
        for watcher in tuple(self._watchers):
            getattr(watcher, event)(*details)

    # The services' side

    def now(self) -> float:
        return self.time

    def time_ms(self) -> int:
        return int((self.time + self.wall_ahead) * 1000)

    def random(self) -> float:
        return self._random.random()

    def call_later(self, delay: float, callback: Callback) -> Cancel:
        assert delay >= 0
        timer = (self.time + delay, callback)
        self._timers.append(timer)
        return lambda: self._timers.remove(timer) if timer in self._timers else None

    def resolve(self, url: str, *, websocket: bool = False) -> str:
        absolute = urljoin(PAGE, url)
        if websocket:
            absolute = absolute.replace("http", "ws", 1)
        if urlsplit(absolute).scheme not in (("ws", "wss") if websocket else ("http", "https")):
            raise ConfigurationError(f"url: expected another scheme, came {url!r}")
        return absolute

    def open_websocket(
        self, url: str, listener: SocketListener, *, background: bool = False
    ) -> FakeSocket:
        if self.refuse_sockets:
            raise ConnectionFailed("SecurityError: mixed content")
        self.sockets.append(FakeSocket(url, listener))
        return self.socket

    def open_event_stream(
        self,
        url: str,
        listener: EventStreamListener,
        *,
        with_credentials: bool,
        last_event_id: str,
        token: str | None,
    ) -> Cancel:
        stream = FakeStream(url, listener, with_credentials, last_event_id, token)
        self.streams.append(stream)
        return stream.cancel

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        token: str | None = None,
        with_credentials: bool = False,
        timeout: float,  # noqa: ASYNC109
    ) -> HTTPAnswer:
        self.requests.append((method, url, body, timeout))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def stored(self, key: str) -> str | None:
        return self.storage.get(key)

    def store(self, key: str, value: str) -> None:
        self.storage[key] = value

    def remembered(self, key: str) -> str | None:
        return self.origin.storage.get(key)

    def remember(self, key: str, value: str | None) -> None:
        if value is None:
            self.origin.storage.pop(key, None)
        else:
            self.origin.storage[key] = value

    def watch_title(self, changed: Callback) -> Cancel:
        self._title_watchers.append(changed)
        return lambda: self._title_watchers.remove(changed)

    def open_channel(self, name: str, received: Callable[[str | None], None]) -> FakeChannel | None:
        if not self.can_share:
            return None
        channel = FakeChannel(self.origin, self, name, received)
        self.origin.channels.append(channel)
        return channel

    def hold_lock(
        self,
        name: str,
        *,
        acquired: Callback,
        lost: Callback = lambda: None,
        shared: bool = False,
        steal: bool = False,
    ) -> Cancel:
        return self.origin.request(name, FakeLock(self, acquired, lost, shared), steal=steal)

    async def held_locks(self) -> list[str]:
        await asyncio.sleep(0)
        return self.origin.holders()

    async def token_in_vault(self) -> str | None:
        await asyncio.sleep(0)
        return self.origin.vault

    async def put_token_in_vault(self, text: str | None) -> None:
        await asyncio.sleep(0)
        self.origin.vault = text

    def open_worker(self, listener: WorkerListener) -> FakeWorker:
        if self.refuse_workers is not None:
            raise self.refuse_workers
        self.workers.append(
            FakeWorker(listener)
            if self.functions is None
            else HostedWorker(listener, self.functions)
        )
        return self.worker

    async def open_replica(self, listener: ReplicaListener) -> FakeReplica:
        await asyncio.sleep(0)
        self.replicas.append(FakeReplica(listener))
        return self.replicas[-1]

    async def open_document_store(
        self, name: str, failed: Callable[[StorageFailed], None]
    ) -> FakeDocumentStore:
        await asyncio.sleep(0)
        if self.refuse_storage:
            raise StorageFailed("SecurityError: storage is denied")
        record = self.origin.documents.setdefault(name, Record())
        store = FakeDocumentStore(record, failed)
        if self.broken_records:
            store.fault = f"{self.broken_records} records cannot be read"
        self.stores.append(store)
        return store

    def mark(self, name: str) -> None:
        self.marks.append(name)

    def report(self, error: BaseException) -> None:
        self.reported.append(error)
