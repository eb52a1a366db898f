"""The services' platform on CPython: real sockets and a real clock, without a browser.

So that the very clients that run in a page can be tried against a gateway, through a proxy that
breaks things, a thousand at once.
"""

from __future__ import annotations

import asyncio
import codecs
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, Self
from urllib.parse import urljoin, urlsplit

import httpx
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame as ProtocolFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from services.errors import ConfigurationError, ConnectionFailed, RequestTimeout, StorageFailed
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
from tests.support.fake_replica import FakeReplica

#: Seconds that the other side has to end a connection after the closing handshake.
FAREWELL = 2.0

ABNORMAL_CLOSURE = 1006
INVALID_DATA = 1007


class SocketPlatform:
    """Implements `services.platform.Platform`, as a browser without other tabs.

    To be made and used in one running event loop.

    `base` is what relative URLs are relative to. `seed` decides `random`, which a test may
    replace. Leave it as an async context manager, or call `aclose`: all it opened ends then.
    """

    def __init__(self, base: str = "http://127.0.0.1/", *, seed: int | None = None) -> None:
        self._base = base
        self._loop = asyncio.get_running_loop()
        self._watchers: list[Watcher] = []
        self._stored: dict[str, str] = {}
        self._kept: dict[str, str] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._http: httpx.AsyncClient | None = None
        self.random: Callable[[], float] = random.Random(seed).random
        self.is_visible = True
        #: When each socket or stream was asked for (as of `now`).
        self.opens: list[float] = []
        #: How long each timer was to wait, in the order in which they were set.
        self.delays: list[float] = []
        #: What was reported: exceptions that nobody caught.
        self.reported: list[BaseException] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # The test's side

    def fire(self, event: str, **details: Any) -> None:
        """Tell the watchers, e.g. of `online`, or of `left` with `kept=True`."""
        for watcher in tuple(self._watchers):
            getattr(watcher, event)(**details)

    async def aclose(self) -> None:
        """End every timer, task and connection."""
        for timer in tuple(self._timers):
            timer.cancel()
        self._timers.clear()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in tuple(self._connections):
            connection.abort()
        while self._connections:  # a transport closes one turn of the loop after it was told to
            await asyncio.sleep(0)
        if self._http is not None:
            await self._http.aclose()

    # The services' side

    def now(self) -> float:
        return time.monotonic()

    def time_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_later(self, delay: float, callback: Callback) -> Cancel:
        def fire() -> None:
            self._timers.discard(timer)
            self._guard(callback)

        def cancel() -> None:
            self._timers.discard(timer)
            timer.cancel()

        self.delays.append(delay)
        timer = self._loop.call_later(delay, fire)
        self._timers.add(timer)
        return cancel

    def resolve(self, url: str, *, websocket: bool = False) -> str:
        absolute = urljoin(self._base, url)
        if websocket and absolute.startswith("http"):
            absolute = absolute.replace("http", "ws", 1)
        if urlsplit(absolute).scheme not in (("ws", "wss") if websocket else ("http", "https")):
            raise ConfigurationError(f"url: expected another scheme, came {url!r}")
        return absolute

    def open_websocket(
        self, url: str, listener: SocketListener, *, background: bool = False
    ) -> ClientSocket:
        self.opens.append(self.now())
        client = ClientSocket(self, url, listener)
        client.task = self._spawn(client.open())
        return client

    def open_event_stream(
        self,
        url: str,
        listener: EventStreamListener,
        *,
        with_credentials: bool,
        last_event_id: str,
        token: str | None,
    ) -> Cancel:
        self.opens.append(self.now())
        # HTML §9.2.2 has the cache mode "no-store", and names the type it wants.
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        stream = _Stream(self, url, headers, listener)
        task = self._spawn(stream.run())

        def cancel() -> None:
            stream.gone = True
            task.cancel()

        return cancel

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
        headers = {} if body is None else {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with asyncio.timeout(timeout):
                answer = await self.http.request(method, url, content=body, headers=headers)
        except TimeoutError:
            raise RequestTimeout(f"{method} {url}: no answer in {timeout:g} s") from None
        except httpx.HTTPError as error:
            raise ConnectionFailed(f"{method} {url}: {error!r}") from error
        return HTTPAnswer(answer.status_code, answer.text)

    # There are no other tabs: nobody hears a channel, and a lock is free.

    can_share = False
    title = ""

    def watch_title(self, changed: Callback) -> Cancel:
        return lambda: None

    def open_channel(self, name: str, received: Callable[[str | None], None]) -> None:
        return None

    def hold_lock(
        self,
        name: str,
        *,
        acquired: Callback,
        lost: Callback = lambda: None,
        shared: bool = False,
        steal: bool = False,
    ) -> Cancel:
        return self.call_later(0, acquired)

    async def held_locks(self) -> list[str]:
        return []

    async def token_in_vault(self) -> str | None:
        return self._kept.get("vault")

    async def put_token_in_vault(self, text: str | None) -> None:
        self.remember("vault", text)

    def remembered(self, key: str) -> str | None:
        return self._kept.get(key)

    def remember(self, key: str, value: str | None) -> None:
        if value is None:
            self._kept.pop(key, None)
        else:
            self._kept[key] = value

    def watch(self, watcher: Watcher) -> Cancel:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher) if watcher in self._watchers else None

    def stored(self, key: str) -> str | None:
        return self._stored.get(key)

    def store(self, key: str, value: str) -> None:
        self._stored[key] = value

    # There are no workers.

    processors = 1

    async def open_replica(self, listener: ReplicaListener) -> FakeReplica:
        return FakeReplica(listener)

    async def open_document_store(
        self, name: str, failed: Callable[[StorageFailed], None]
    ) -> NoReturn:
        raise StorageFailed("expected a browser, came none")

    def open_worker(self, listener: WorkerListener) -> NoReturn:
        raise ConfigurationError("worker: expected a page with PyScript, came none")

    def mark(self, name: str) -> None:
        pass

    def report(self, error: BaseException) -> None:
        self.reported.append(error)

    # For what it opened

    @property
    def http(self) -> httpx.AsyncClient:
        """The HTTP client; each request of it has a connection of its own, as proxies are cut."""
        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._http = httpx.AsyncClient(
                timeout=None,
                limits=limits,
                trust_env=False,
                verify=False,
            )
        return self._http

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(error)

    def _guard(self, function: Callable[..., None], *values: Any) -> None:
        try:
            function(*values)
        except Exception as error:
            self.report(error)


class ClientSocket:
    """A WebSocket as a page sees it."""

    def __init__(self, platform: SocketPlatform, url: str, listener: SocketListener) -> None:
        self._platform = platform
        self._url = url
        self._listener: SocketListener | None = listener
        #: Set by the connection once it is made.
        self.connection: _Connection | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def buffered(self) -> int:
        transport = self.connection and self.connection.transport
        return transport.get_write_buffer_size() if transport else 0

    def send(self, frame: Frame) -> None:
        if self.connection is not None:
            self.connection.send(frame)

    def close(self, code: int, reason: str) -> None:
        assert code == 1000 or 3000 <= code <= 4999
        self._listener = None
        if self.connection is not None:
            self.connection.close(code, reason)
        elif self.task is not None:
            self.task.cancel()

    async def open(self) -> None:
        uri = parse_uri(self._url)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: _Connection(self._platform, uri, self), uri.host, uri.port
            )
        except OSError as error:
            self.tell("closed", ABNORMAL_CLOSURE, str(error))

    def tell(self, event: str, *details: Any) -> None:
        """Tell the listener; nothing after `closed`."""
        listener = self._listener
        if event == "closed":
            self._listener = None
        if listener is not None:
            self._platform._guard(getattr(listener, event), *details)


class _Connection(asyncio.Protocol):
    """Carries the bytes of the `websockets` library's protocol, which does no I/O itself.

    Its own connection has a task for each client and hands out one frame at a time. This one
    hands on at once all frames that came at once.
    """

    def __init__(self, platform: SocketPlatform, uri: Any, client: ClientSocket) -> None:
        self._platform = platform
        self._client = client
        self._protocol = ClientProtocol(uri, max_size=None)
        self._fragments: list[bytes] = []
        self._is_text = True
        self._farewell: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    def send(self, frame: Frame) -> None:
        try:
            if isinstance(frame, str):
                self._protocol.send_text(frame.encode())
            else:
                self._protocol.send_binary(frame)
        except InvalidState:
            return  # closing
        self._write()

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is State.CONNECTING:
            self.abort()
        elif self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._write()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._client.connection = self
        self._platform._connections.add(self)
        self._protocol.send_request(self._protocol.connect())
        self._write()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        if events and not isinstance(events[0], ProtocolFrame):
            events = events[1:]  # the answer to the handshake
            if self._protocol.handshake_exc is None:
                self._client.tell("opened")
        frames: list[Frame] = []
        try:
            for event in events:
                frames += self._whole(event)
        except UnicodeDecodeError:
            self._protocol.fail(INVALID_DATA)
        if frames:
            self._client.tell("received", frames)
        self._write()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._write()

    def connection_lost(self, error: Exception | None) -> None:
        protocol = self._protocol
        protocol.receive_eof()
        self.transport = None
        self._platform._connections.discard(self)
        if self._farewell is not None:
            self._farewell.cancel()
        code, reason = protocol.close_code, protocol.close_reason
        failure = protocol.handshake_exc or error
        self._client.tell(
            "closed",
            ABNORMAL_CLOSURE if code is None else code,
            reason or ("" if failure is None else str(failure)),
        )

    def _whole(self, event: Any) -> list[Frame]:
        """Return a message, if this frame ends one."""
        if event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return []
        if event.opcode is not Opcode.CONT:
            self._is_text = event.opcode is Opcode.TEXT
        self._fragments.append(bytes(event.data))
        if not event.fin:
            return []
        data, self._fragments = b"".join(self._fragments), []
        return [data.decode() if self._is_text else data]

    def _write(self) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            self._protocol.data_to_send()
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                transport.write_eof()
        if self._farewell is None and self._protocol.close_expected():
            # RFC 6455 §7.1.1: it is the server that is to end the connection.
            self._farewell = asyncio.get_running_loop().call_later(FAREWELL, self.abort)


class _Stream:
    """One event stream."""

    def __init__(
        self,
        platform: SocketPlatform,
        url: str,
        headers: dict[str, str],
        listener: EventStreamListener,
    ) -> None:
        self._platform = platform
        self._url = url
        self._headers = headers
        self._listener = listener
        self.gone = False

    async def run(self) -> None:
        try:
            status, reason, retry_after = await self._read()
        except httpx.HTTPError as error:
            status, reason, retry_after = None, f"{type(error).__name__}: {error}", None
        self._tell("closed", status, reason, retry_after)

    async def _read(self) -> tuple[int | None, str, float | None]:
        http = self._platform.http
        async with http.stream("GET", self._url, headers=self._headers) as response:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if response.status_code != 200:
                retry_after = response.headers.get("Retry-After", "")
                seconds = float(retry_after) if retry_after.isdecimal() else None
                return response.status_code, response.reason_phrase, seconds
            if kind != "text/event-stream":
                return 200, f"expected text/event-stream, came {kind!r}", None
            self._tell("opened", response.headers.get("Last-Event-ID", ""))
            decoder = EventDecoder()
            async for data in response.aiter_raw():
                self._tell("alive")
                decoder.feed(data)
                if decoder.retry is not None:
                    self._tell("retry_in", decoder.retry / 1000)
                    decoder.retry = None
                if events := decoder.take():
                    self._tell("received", events)
                if decoder.positioned:
                    decoder.positioned = False
                    self._tell("positioned", decoder.last_event_id)
        return None, "the stream ended", None

    def _tell(self, event: str, *details: Any) -> None:
        if not self.gone:
            self._platform._guard(getattr(self._listener, event), *details)


class EventDecoder:
    """Reads an event stream: WHATWG HTML §9.2.6."""

    def __init__(self) -> None:
        #: Of the last event, or blank line; it begins empty.
        self.last_event_id = ""
        #: The reconnection time that came last, in milliseconds.
        self.retry: int | None = None
        #: Whether an id came without an event after the last event.
        self.positioned = False
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text = ""
        self._begun = False
        self._event = ""
        self._data: list[str] = []
        self._id = ""
        self._events: list[StreamEvent] = []

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        text = self._decode(data)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        text = self._text + text
        # A CR at the end may be half of a CRLF.
        kept = text[-1:] if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._text = rest + kept
        for line in lines:
            self._line(line)

    def take(self) -> list[StreamEvent]:
        """Return the events that are complete, once."""
        events, self._events = self._events, []
        return events

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdecimal():
                self.retry = int(value)

    def _dispatch(self) -> None:
        moved, self.last_event_id = self._id != self.last_event_id, self._id
        if self._data:
            event = StreamEvent(self._event or "message", "\n".join(self._data), self._id)
            self._events.append(event)
            self.positioned = False
        elif moved:
            self.positioned = True
        self._event, self._data = "", []


@asynccontextmanager
async def socket_platform(base: str, *, seed: int | None = None) -> AsyncIterator[SocketPlatform]:
    """A platform that must not have had anything to report."""
    async with SocketPlatform(base, seed=seed) as platform:
        yield platform
    assert platform.reported == []
