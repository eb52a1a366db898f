"""A TCP proxy that breaks what passes through it, on command or by a schedule.

It stands before a server on the loopback and runs in a thread of its own, so that plain tests,
asyncio tests and browser tests can all drive it:

    with Gateway(data) as gateway, FaultProxy(gateway.port) as proxy:
        page.goto(proxy.url)
        proxy.cut(path="/ws")

Bytes keep their order, whatever happens to them. Times are in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Self, TypeVar, cast

from tests.support.fault_schedule import (
    Cut,
    Delay,
    Direction,
    Down,
    Fault,
    HalfOpen,
    How,
    Refuse,
    Schedule,
    Truncate,
    Unit,
)
from tests.support.frame_boundaries import Boundaries, EventBoundaries, FrameBoundaries

T = TypeVar("T")

HOST = "127.0.0.1"

#: Bytes that may wait in one direction of one connection before its source has to wait.
WINDOW = 256 * 1024

#: The system's receive buffer of each connection. The kernel would let it grow to many MiB, which
#: hide from the gateway for long that a client does not read.
RECEIVE_BUFFER = 64 * 1024

#: How long a connection that was closed politely may take to go.
FAREWELL = 1.0

#: How long a command may take until it is done in the proxy's thread.
PATIENCE = 10.0


class FaultProxy:
    """Forwards `port` (one for its life) of the loopback to `target_port`.

    Its methods may be called from any thread; each returns once it took effect. `seed` decides
    where frames are cut and how delays vary.
    """

    def __init__(self, target_port: int, *, seed: int = 0) -> None:
        self.target_port = target_port
        self.random = random.Random(seed)
        #: When each connection was accepted, also the refused ones (`time.monotonic`).
        self.attempts: list[float] = []
        #: The faults that a schedule has brought about, with their times.
        self.applied: list[tuple[float, Fault]] = []
        #: Frames and events that were cut in two.
        self.truncations = 0
        self._messages = {Direction.TO_GATEWAY: 0, Direction.TO_CLIENT: 0}
        self._bytes = dict(self._messages)
        self._swallowed = dict(self._messages)
        self._tunnels: set[_Tunnel] = set()
        self._latency = dict.fromkeys(self._messages, (0.0, 0.0))
        self._held = Direction(0)
        self._deaf = Direction(0)
        self._refusing: How | None = None
        self._dropping: How | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listener: socket.socket | None = None
        # Bound and never listening: the port stays ours, and refuses, while we are down.
        self._claim = _bound(0)
        self.port: int = self._claim.getsockname()[1]
        self._mishaps: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self._mishaps.append(str(context)))
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}")

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The page through the proxy, with a slash at its end."""
        return f"http://{HOST}:{self.port}/"

    @property
    def websocket_url(self) -> str:
        return f"ws://{HOST}:{self.port}/ws"

    @property
    def events_url(self) -> str:
        return f"{self.url}api/events"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._tunnels)

    @property
    def streams(self) -> int:
        """Those of them that are WebSockets past their handshake, or event streams."""
        return sum(tunnel.is_stream for tunnel in tuple(self._tunnels))

    def messages(self, direction: Direction) -> int:
        """WebSocket frames and server-sent events that have passed this way, whole."""
        return sum(n for way, n in self._messages.items() if way in direction)

    def bytes(self, direction: Direction) -> int:
        """Bytes that have passed this way."""
        return sum(n for way, n in self._bytes.items() if way in direction)

    def swallowed(self, direction: Direction) -> int:
        """Bytes that were swallowed on this way."""
        return sum(n for way, n in self._swallowed.items() if way in direction)

    # Commands. `path` ("/ws") leaves connections alone whose last request was for another.

    def cut(self, how: How = How.FIN, *, path: str | None = None) -> int:
        """End the connections; return how many."""
        return self._call(self._cut, how, path)

    def truncate(
        self,
        direction: Direction = Direction.TO_CLIENT,
        how: How = How.FIN,
        *,
        path: str | None = None,
    ) -> int:
        """Arm the streams: each ends midway in its next frame or event; return how many."""
        return self._call(self._truncate, direction, how, path)

    def half_open(
        self, direction: Direction = Direction.BOTH, *, path: str | None = None, new: bool = False
    ) -> int:
        """Swallow all bytes on the open connections, and with `new` on new ones; return how many.

        Those that are open stay so, and deaf, until they are cut, or given up at both ends.
        """
        return self._call(self._half_open, direction, path, new)

    def delay(
        self, latency: float, jitter: float = 0.0, direction: Direction = Direction.BOTH
    ) -> None:
        """From now on hold every byte back for `latency`, and up to `jitter` more; in order."""
        self._call(self._delay, latency, jitter, direction)

    def hold(self, direction: Direction = Direction.BOTH) -> None:
        """Let nothing pass, and let the sender feel it, until `release`."""
        self._call(self._hold, direction)

    def release(self) -> None:
        """Let pass what was held."""
        self._call(self._hold, Direction(0))

    def refuse(self, how: How = How.FIN) -> None:
        """End each new connection as soon as it is accepted, until `accept`."""
        self._call(self._set, refusing=how)

    def drop_streams(self, how: How = How.FIN) -> None:
        """End each new stream as soon as its handshake has passed, until `accept`."""
        self._call(self._set, dropping=how)

    def accept(self) -> None:
        """Serve new connections as they come: no `refuse`, `drop_streams`, `half_open(new=)`."""
        self._call(self._set)

    def down(self) -> None:
        """Stop listening: new connections are refused by the system. Open ones stay."""
        self._call(self._down)

    def up(self) -> None:
        """Listen again."""
        self._call(self._up)

    def run(self, schedule: Schedule) -> Future[None]:
        """Begin a schedule. What is returned is done when it is through, and cancels it."""
        return asyncio.run_coroutine_threadsafe(self._run(schedule), self._loop)

    def close(self) -> None:
        """End every connection, task and socket, and the thread."""
        if self._thread.is_alive():
            self._wait(self._finish())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._claim.close()
        self._loop.close()
        assert not self._mishaps, self._mishaps

    # From here on, everything runs in the proxy's thread.

    def _call(self, function: Callable[..., T], *values: Any, **named: Any) -> T:
        async def call() -> T:
            return function(*values, **named)

        return self._wait(call())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _chosen(self, path: str | None) -> list[_Tunnel]:
        return [t for t in self._tunnels if path is None or t.path.partition("?")[0] == path]

    def _cut(self, how: How, path: str | None = None) -> int:
        tunnels = self._chosen(path)
        for tunnel in tunnels:
            tunnel.end(how)
        return len(tunnels)

    def _truncate(self, direction: Direction, how: How, path: str | None = None) -> int:
        tunnels = [tunnel for tunnel in self._chosen(path) if tunnel.is_stream]
        for tunnel in tunnels:
            for lane in tunnel.lanes_of(direction):
                lane.armed = how
        return len(tunnels)

    def _half_open(self, direction: Direction, path: str | None, new: bool) -> int:
        tunnels = self._chosen(path)
        for tunnel in tunnels:
            for lane in tunnel.lanes_of(direction):
                lane.deafen()
        if new:
            self._deaf |= direction
        return len(tunnels)

    def _delay(self, latency: float, jitter: float, direction: Direction) -> None:
        for way in self._latency:
            if way in direction:
                self._latency[way] = (latency, jitter)

    def _hold(self, direction: Direction) -> None:
        self._held = direction
        for tunnel in tuple(self._tunnels):
            for lane in tunnel.lanes:
                lane.flush()

    def _set(self, *, refusing: How | None = None, dropping: How | None = None) -> None:
        self._refusing, self._dropping = refusing, dropping
        self._deaf = Direction(0)

    def _up(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._listener.setblocking(False)
            self._listener.listen(2048)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _down(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        # asyncio's own server loses connections that come at the moment it is closed.
        with contextlib.suppress(BlockingIOError):
            while True:
                accepted, _ = listener.accept()
                serving = self._spawn(self._serve(accepted))
                # Also if it is cancelled before it began.
                serving.add_done_callback(
                    lambda task, accepted=accepted: task.cancelled() and accepted.close()
                )

    async def _serve(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: _End(_Tunnel(self)), accepted)
        except OSError:
            accepted.close()

    async def _finish(self) -> None:
        self._down()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for tunnel in tuple(self._tunnels):
            tunnel.end(How.RST)
        while self._tunnels:  # a transport closes one turn of the loop after it was told to
            await asyncio.sleep(0)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, schedule: Schedule) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        due = {Unit.SECONDS: time.monotonic()}
        due[Unit.MESSAGES] = self.messages(Direction.TO_CLIENT)
        due[Unit.BYTES] = self.bytes(Direction.TO_CLIENT)
        for step in schedule:
            due[step.unit] += step.after
            await _until(lambda step=step: self._reached(step.unit) >= due[step.unit])
            await _until(lambda: self.streams)
            self.applied.append((time.monotonic(), step.fault))
            await self._apply(step.fault)

    def _reached(self, unit: Unit) -> float:
        match unit:
            case Unit.SECONDS:
                return time.monotonic()
            case Unit.MESSAGES:
                return self.messages(Direction.TO_CLIENT)
            case Unit.BYTES:
                return self.bytes(Direction.TO_CLIENT)

    async def _apply(self, fault: Fault) -> None:
        match fault:
            case Cut(how):
                self._cut(how)
            case Truncate(direction, how):
                # A stream that ends before its frame comes is no cut: the next one is armed too.
                def struck(before: int = self.truncations) -> bool:
                    self._truncate(direction, how)
                    return self.truncations > before

                await _until(struck)
                for tunnel in self._tunnels:
                    tunnel.disarm()
            case HalfOpen(seconds, direction):
                self._half_open(direction, None, new=False)
                tunnels = tuple(self._tunnels)
                await asyncio.sleep(seconds)
                for tunnel in tunnels:
                    tunnel.end(How.RST)
            case Delay(seconds, latency, jitter):
                self._delay(latency, jitter, Direction.BOTH)
                await asyncio.sleep(seconds)
                self._delay(0, 0, Direction.BOTH)
            case Refuse(seconds):
                self._set(refusing=How.FIN)
                self._cut(How.FIN)
                await asyncio.sleep(seconds)
                self._set()
            case Down(seconds):
                self._down()
                self._cut(How.FIN)
                await asyncio.sleep(seconds)
                self._up()


class _End(asyncio.Protocol):
    """One of the two ends of a tunnel: what its transport says."""

    def __init__(self, tunnel: _Tunnel, *, is_gateway: bool = False) -> None:
        self._tunnel = tunnel
        self._is_gateway = is_gateway
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._tunnel.joined(self, is_gateway=self._is_gateway)

    def data_received(self, data: bytes) -> None:
        self._tunnel.lane_from(self).feed(data)

    def eof_received(self) -> bool:
        self._tunnel.heard_eof(self)
        return True  # the other direction may go on

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._tunnel.lost(self, error)

    def pause_writing(self) -> None:
        self._tunnel.lane_to(self).full = True

    def resume_writing(self) -> None:
        lane = self._tunnel.lane_to(self)
        lane.full = False
        lane.flush()

    def end(self, how: How) -> None:
        """End it, politely if it is still willing."""
        transport = self.transport
        if transport is None:
            return
        if how is How.RST:
            _reset(transport)
        elif not transport.is_closing():
            transport.resume_reading()  # a transport that does not read hears no end
            transport.write_eof()


class _Tunnel:
    """One connection: its two ends, and the two ways between them."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        #: Of the last request.
        self.path = ""
        self.is_stream = False
        self._ended = False
        self._client: _End | None = None
        self._gateway: _End | None = None
        self._farewell: asyncio.TimerHandle | None = None
        self._up = _Lane(self, Direction.TO_GATEWAY)
        self._down = _Lane(self, Direction.TO_CLIENT)
        self.lanes = (self._up, self._down)

    def lane_from(self, end: _End) -> _Lane:
        return self._up if end is self._client else self._down

    def lane_to(self, end: _End) -> _Lane:
        return self._down if end is self._client else self._up

    def lanes_of(self, direction: Direction) -> list[_Lane]:
        return [lane for lane in self.lanes if lane.direction in direction]

    def joined(self, end: _End, *, is_gateway: bool) -> None:
        proxy = self.proxy
        if is_gateway:
            self._gateway = end
            if self._ended or self._client is None or self._client.transport is None:
                end.end(How.RST)
            else:
                self._up.join(self._client, end)
                self._down.join(end, self._client)
            return
        self._client = end
        proxy._tunnels.add(self)
        proxy.attempts.append(time.monotonic())
        if proxy._refusing is not None:
            self.end(proxy._refusing)
            return
        for lane in self.lanes_of(proxy._deaf):
            lane.deafen()
        assert end.transport is not None
        end.transport.pause_reading()
        proxy._spawn(self._connect())

    async def _connect(self) -> None:
        loop = self.proxy._loop
        gateway = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        gateway.setblocking(False)
        gateway.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        try:
            await loop.sock_connect(gateway, (HOST, self.proxy.target_port))
            await loop.create_connection(lambda: _End(self, is_gateway=True), sock=gateway)
        except OSError:
            gateway.close()
            self.end(How.RST)
        except BaseException:
            gateway.close()
            raise

    def became_stream(self, boundaries: type[Boundaries]) -> None:
        self.is_stream = True
        self._down.boundaries = boundaries()
        if boundaries is FrameBoundaries:
            self._up.boundaries = boundaries()
        if self.proxy._dropping is not None:
            self.end(self.proxy._dropping)

    def disarm(self) -> None:
        for lane in self.lanes:
            lane.armed = None

    def end(self, how: How) -> None:
        """End both ends. Nothing passes any more."""
        self._ended = True
        for lane in self.lanes:
            lane.stop()
        for end in (self._client, self._gateway):
            if end is not None:
                end.end(how)
        if how is How.FIN and self._farewell is None and self in self.proxy._tunnels:
            # A peer may never answer.
            self._farewell = self.proxy._loop.call_later(FAREWELL, self.end, How.RST)

    def heard_eof(self, end: _End) -> None:
        if self._ended and end.transport is not None:
            end.transport.close()
        else:
            self.lane_from(end).finish()

    def passed_eof(self) -> None:
        if all(lane.finished for lane in self.lanes):
            for end in (self._client, self._gateway):
                if end is not None and end.transport is not None:
                    end.transport.close()

    def lost(self, end: _End, error: Exception | None) -> None:
        other = self._gateway if end is self._client else self._client
        if other is not None and other.transport is not None:
            # A peer that cannot be heard cannot be heard to die either.
            if not self._ended and not self.lane_from(end).is_deaf:
                if error is None:
                    other.transport.close()
                else:
                    _reset(other.transport)
            return
        self._ended = True
        for lane in self.lanes:
            lane.stop()
        if self._farewell is not None:
            self._farewell.cancel()
        self.proxy._tunnels.discard(self)


class _Lane:
    """One direction of one tunnel."""

    def __init__(self, tunnel: _Tunnel, direction: Direction) -> None:
        self._tunnel = tunnel
        self._proxy = tunnel.proxy
        self.direction = direction
        self.boundaries: Boundaries | None = None
        #: How the tunnel ends in the next frame, if it shall.
        self.armed: How | None = None
        self.is_deaf = False
        #: Whether the sink takes no more for now.
        self.full = False
        self.finished = False
        self._source: _End | None = None
        self._sink: _End | None = None
        self._stopped = False
        # (when they may pass, bytes); no bytes are the end.
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, source: _End, sink: _End) -> None:
        self._source, self._sink = source, sink
        assert sink.transport is not None
        sink.transport.set_write_buffer_limits(WINDOW)
        self._read()

    def deafen(self) -> None:
        self.is_deaf = True
        self._drop()
        self._read()

    def stop(self) -> None:
        self._stopped = True
        self._drop()

    def feed(self, data: bytes) -> None:
        if self._stopped:
            return
        if self.is_deaf:
            self._proxy._swallowed[self.direction] += len(data)
            return
        latency, jitter = self._proxy._latency[self.direction]
        if latency or jitter or self._waiting or self.full or self._is_held:
            self._wait(data, latency + jitter * self._proxy.random.random())
        else:
            self._pass(data)

    def finish(self) -> None:
        if not self._stopped and not self.is_deaf:
            self._wait(b"", 0.0)

    def flush(self) -> None:
        """Let pass what may."""
        while self._waiting and not (self.full or self._is_held):
            due, data = self._waiting[0]
            if due > self._proxy._loop.time():
                if self._timer is None:
                    self._timer = self._proxy._loop.call_at(due, self._on_timer)
                return
            self._waiting.popleft()
            self._waiting_bytes -= len(data)
            if data:
                self._pass(data)
            else:
                self._pass_eof()
        self._read()

    @property
    def _is_held(self) -> bool:
        return self.direction in self._proxy._held

    def _drop(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()

    def _wait(self, data: bytes, delay: float) -> None:
        due = self._proxy._loop.time() + delay
        if self._waiting:
            due = max(due, self._waiting[-1][0])  # what came first goes first
        self._waiting.append((due, data))
        self._waiting_bytes += len(data)
        source = self._source.transport if self._source is not None else None
        if self._waiting_bytes > WINDOW and source is not None:
            source.pause_reading()
        self.flush()

    def _read(self) -> None:
        source = self._source.transport if self._source is not None else None
        if source is not None and self._waiting_bytes <= WINDOW:
            source.resume_reading()

    def _pass(self, data: bytes) -> None:
        if self.boundaries is None:
            head = self._look_at(data)
            self._write(data[:head])
            data = data[head:]
            if kind := self._announced:
                self._announced = None
                self._tunnel.became_stream(kind)
            if self._stopped or not data:
                return
        boundaries, random = self.boundaries, self._proxy.random
        assert boundaries is not None
        if self.armed is not None and (inside := boundaries.inside(data)):
            data = data[: random.choice(random.choice(inside))]
            self._proxy._messages[self.direction] += boundaries.feed(data)
            self._write(data)
            self._proxy.truncations += 1
            self._tunnel.end(self.armed)
            return
        self._proxy._messages[self.direction] += boundaries.feed(data)
        self._write(data)

    _announced: type[Boundaries] | None = None

    def _look_at(self, data: bytes) -> int:
        """See what a connection is for; return how many bytes belong to no frame.

        A head comes in one piece, as servers and browsers write it.
        """
        if self.direction is Direction.TO_GATEWAY:
            if request := _REQUEST.match(data):
                self._tunnel.path = request[1].decode()
        elif data.startswith(b"HTTP/1.1 "):
            head = data.partition(b"\r\n\r\n")[0]
            if head.startswith(b"HTTP/1.1 101 "):
                self._announced = FrameBoundaries
            elif _EVENT_STREAM.search(head):
                self._announced = EventBoundaries
            if self._announced is not None:
                return len(head) + 4
        return len(data)

    def _write(self, data: bytes) -> None:
        self._proxy._bytes[self.direction] += len(data)
        if self._sink is not None and self._sink.transport is not None:
            self._sink.transport.write(data)

    def _pass_eof(self) -> None:
        self.finished = True
        if self._sink is not None and self._sink.transport is not None:
            with contextlib.suppress(OSError):  # reset by its other end, which we have yet to hear
                self._sink.transport.write_eof()
        self._tunnel.passed_eof()


_REQUEST = re.compile(rb"[A-Z]+ (\S+) HTTP/1\.1\r\n")
_EVENT_STREAM = re.compile(rb"(?i)\r\ncontent-type: *text/event-stream")


def _bound(port: int) -> socket.socket:
    """Return a socket bound to `port`, or a free one; several may be, and one listen."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((HOST, port))
    return bound


def _reset(transport: asyncio.Transport) -> None:
    # SO_LINGER with no time to linger: close() sends RST and forgets what was not sent.
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)
