"""The proxy, between plain sockets and a server that echoes, or speaks as a gateway does."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidMessage
from websockets.sync.client import connect

from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import (
    Cut,
    Delay,
    Direction,
    Down,
    HalfOpen,
    How,
    Refuse,
    Step,
    Truncate,
    Unit,
    random_schedule,
)
from tests.support.frame_boundaries import EventBoundaries, FrameBoundaries
from tests.support.gateway import wait_until

UP, DOWN = Direction.TO_GATEWAY, Direction.TO_CLIENT

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server in a thread of its own: TCP that echoes, or `talk`, or WebSockets that echo."""

    def __init__(self, talk: Talk | None = None, *, websocket: bool = False) -> None:
        self._talk = talk or self._echo
        self._websocket = websocket
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.received = b""
        self.eof = threading.Event()
        self.lost = threading.Event()
        self.port = 0

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._tasks: set[asyncio.Task[None] | None] = set()
        if self._websocket:
            server = await serve(self._echo_frames, "127.0.0.1", 0, ping_interval=None)
        else:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            await self._talk(reader, writer)
        except ConnectionError:
            self.lost.set()
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.transport.abort()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.received += data
            writer.write(data)
            await writer.drain()
        self.eof.set()

    async def _echo_frames(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for frame in connection:
                await connection.send(frame)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


def client(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, f"the end came after {len(data)} bytes of {size}"
        data += piece
    return data


def test_megabytes_pass_unchanged_both_ways_and_both_ends_close(server, proxy):
    sent = bytes(range(256)) * 20_000
    with client(proxy) as connection:
        threading.Thread(target=lambda: connection.sendall(sent)).start()
        assert read_exactly(connection, len(sent)) == sent
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert server.eof.wait(5)
    assert proxy.bytes(UP) == proxy.bytes(DOWN) == len(sent)
    wait_until(lambda: proxy.connections == 0)


def test_a_sender_feels_a_reader_that_does_not_read():
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.read(1)
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            written += 65536

    with Server(flood) as server, FaultProxy(server.port) as proxy, client(proxy) as connection:
        proxy.hold(DOWN)
        connection.sendall(b"x")
        wait_until(lambda: written > 0)
        before = -1
        while before != written:  # the buffers between fill up
            before = written
            time.sleep(0.2)
        proxy.release()
        read_exactly(connection, before)
        wait_until(lambda: written > before)


def test_delays_hold_back_and_keep_the_order(proxy):
    with client(proxy) as connection:
        proxy.delay(0.05, jitter=0.05)
        started = time.monotonic()
        sent = b"".join(b"%05d" % n for n in range(50))
        for at in range(0, len(sent), 5):
            connection.sendall(sent[at : at + 5])
            time.sleep(0.001)  # so that they are pieces, each with a delay of its own
        assert read_exactly(connection, len(sent)) == sent
        assert time.monotonic() - started >= 0.1
        proxy.delay(0)
        started = time.monotonic()
        connection.sendall(b"fast")
        assert read_exactly(connection, 4) == b"fast"
        assert time.monotonic() - started < 0.1


def test_a_fin_is_an_end_and_a_reset_is_an_error(server, proxy):
    with client(proxy) as one, client(proxy) as other:
        for connection in (one, other):
            connection.sendall(b"x")
            read_exactly(connection, 1)
        assert proxy.cut(How.FIN) == 2
        assert (one.recv(1), other.recv(1)) == (b"", b"")
        assert server.eof.wait(5)
    with client(proxy) as connection:
        connection.sendall(b"x")
        read_exactly(connection, 1)
        proxy.cut(How.RST)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert server.lost.wait(5)
    wait_until(lambda: proxy.connections == 0)


def test_a_cut_end_that_never_answers_is_ended_all_the_same(proxy):
    with client(proxy) as connection:
        connection.sendall(b"x")
        read_exactly(connection, 1)
        proxy.cut(How.FIN)
        wait_until(lambda: proxy.connections == 0)  # though we have not closed


@pytest.mark.parametrize("direction", [UP, DOWN, UP | DOWN])
def test_half_open_swallows_and_tells_nobody(server, proxy, direction):
    with client(proxy) as connection:
        connection.sendall(b"before")
        read_exactly(connection, 6)
        assert proxy.half_open(direction) == 1
        connection.sendall(b"lost")
        if direction is not DOWN:
            wait_until(lambda: proxy.swallowed(UP) == 4)
            assert server.received == b"before"
        else:
            wait_until(lambda: proxy.swallowed(DOWN) == 4)
            assert server.received == b"beforelost"
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with client(proxy) as other:  # a new one is not concerned
            other.sendall(b"x")
            assert read_exactly(other, 1) == b"x"


def test_half_open_hides_the_death_of_a_peer(server, proxy):
    with client(proxy) as connection:
        connection.sendall(b"x")
        read_exactly(connection, 1)
        proxy.half_open()
        server.close()
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_half_open_for_new_ones_until_they_are_accepted_again(proxy):
    proxy.half_open(new=True)
    with client(proxy) as connection:
        connection.sendall(b"lost")
        wait_until(lambda: proxy.swallowed(UP) == 4)
    proxy.accept()
    with client(proxy) as connection:
        connection.sendall(b"x")
        assert read_exactly(connection, 1) == b"x"


def test_refusing_ends_new_connections_and_counts_them(proxy):
    proxy.refuse()
    started = time.monotonic()
    for n in range(3):
        with client(proxy) as connection:
            assert connection.recv(1) == b""
        assert len(proxy.attempts) == n + 1
    assert proxy.attempts == sorted(proxy.attempts)
    assert started <= proxy.attempts[0] <= proxy.attempts[-1] <= time.monotonic()
    proxy.refuse(How.RST)
    with pytest.raises(ConnectionResetError), client(proxy) as connection:
        connection.recv(1)
    proxy.accept()
    with client(proxy) as connection:
        connection.sendall(b"x")
        assert read_exactly(connection, 1) == b"x"


def test_down_refuses_and_up_has_the_same_port(proxy):
    port = proxy.port
    with client(proxy) as connection:
        for _ in range(3):
            proxy.down()
            with pytest.raises(ConnectionRefusedError):
                client(proxy)
            connection.sendall(b"x")  # what is open stays open
            assert read_exactly(connection, 1) == b"x"
            proxy.up()
            with client(proxy) as other:
                other.sendall(b"x")
                assert read_exactly(other, 1) == b"x"
    assert proxy.port == port


def test_without_a_server_a_connection_is_reset():
    with Server() as server:
        port = server.port
    with FaultProxy(port) as proxy, pytest.raises(ConnectionResetError), client(proxy) as c:
        c.recv(1)


def test_leaving_ends_everything(server):
    before = threading.active_count()
    with FaultProxy(server.port) as proxy:
        connections = [client(proxy) for _ in range(5)]
        for connection in connections:
            connection.sendall(b"x")
            read_exactly(connection, 1)
        schedule = proxy.run([Step(1e9, Cut())])
    assert schedule.cancelled()
    assert threading.active_count() == before
    for connection in connections:
        with connection, pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        client(proxy)


def test_paths_tell_connections_apart(proxy):
    with client(proxy) as one, client(proxy) as other:
        for connection, path in ((one, b"/ws?a=1"), (other, b"/")):
            request = b"GET " + path + b" HTTP/1.1\r\n\r\n"
            connection.sendall(request)
            assert read_exactly(connection, len(request)) == request
        assert proxy.cut(path="/ws") == 1
        assert one.recv(1) == b""
        other.sendall(b"x")
        assert read_exactly(other, 1) == b"x"


# WebSockets


@pytest.fixture
def echo() -> Iterator[FaultProxy]:
    with Server(websocket=True) as server, FaultProxy(server.port, seed=7) as proxy:
        yield proxy


def test_frames_are_counted_each_way(echo):
    with connect(echo.websocket_url) as socket_:
        for size in (0, 125, 126, 65_535, 65_536, 300_000):
            socket_.send("x" * size)
            assert socket_.recv() == "x" * size
        assert echo.streams == 1
        assert (echo.messages(UP), echo.messages(DOWN)) == (6, 6)
    wait_until(lambda: echo.streams == 0)


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize("how", How)
def test_truncating_a_frame_lets_only_a_part_of_it_through(echo, direction, how):
    for size in (1, 200, 100_000):
        with connect(echo.websocket_url, close_timeout=1) as socket_:
            socket_.send("whole")
            assert socket_.recv() == "whole"
            before = echo.bytes(direction)
            assert echo.truncate(direction, how) == 1
            with suppress(ConnectionClosed):
                socket_.send("x" * size)
            with pytest.raises(ConnectionClosedError) as caught:
                socket_.recv()
            assert caught.value.rcvd is None
            overhead = (4 if direction is UP else 0) + {1: 2, 200: 4, 100_000: 10}[size]
            assert 0 < echo.bytes(direction) - before < size + overhead
    assert echo.truncations == 3


def test_streams_can_be_dropped_right_after_their_handshake(echo):
    echo.drop_streams()
    url = echo.websocket_url
    with connect(url, close_timeout=1) as socket_, pytest.raises(ConnectionClosedError):
        socket_.recv()
    echo.accept()
    with connect(echo.websocket_url) as socket_:
        socket_.send("x")
        assert socket_.recv() == "x"


def test_a_schedule_waits_for_streams_and_applies_every_fault(echo):
    faults = [
        Cut(How.FIN),
        Truncate(UP),
        Delay(0.01, 0.01),
        Truncate(DOWN, How.RST),
        HalfOpen(0.01),
        Refuse(0.01),
        Cut(How.RST),
        Down(0.01),
    ]
    units = [Unit.MESSAGES, Unit.BYTES, Unit.SECONDS]
    afters = {Unit.MESSAGES: 3, Unit.BYTES: 30, Unit.SECONDS: 0.01}
    steps = [Step(afters[units[n % 3]], fault, units[n % 3]) for n, fault in enumerate(faults)]
    run = echo.run(steps)
    while not run.done():
        # A cut may hit a connection in its handshake, at work, or at its end.
        with (
            suppress(OSError, InvalidMessage, ConnectionClosed),
            connect(echo.websocket_url, close_timeout=1, open_timeout=2) as socket_,
        ):
            while not run.done():
                socket_.send("x")
                socket_.recv(timeout=1)
    run.result()
    assert [fault for _, fault in echo.applied] == faults
    assert len(echo.attempts) >= 7  # all but the delay end one
    assert echo.truncations == 2


def test_a_random_schedule_is_a_matter_of_its_seed():
    one, same, other = (random_schedule(s, 50, messages=9000) for s in (1, 1, 2))
    assert one == same != other
    assert len(one) == 50
    assert 0 < sum(step.after for step in one) < 9000
    assert {type(step.fault) for step in one} == {Cut, Truncate, HalfOpen, Delay}
    down = random_schedule(1, 500, messages=9000, ways=DOWN)
    truncations = [step.fault for step in down if isinstance(step.fault, Truncate)]
    assert {fault.direction for fault in truncations} == {DOWN}


# Event streams


def test_truncating_an_event_lets_only_a_part_of_it_through():
    event = b"id: 1\nevent: a\ndata: {}\n\n"
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n%s\r\n" % (len(event), event)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + chunk)
        while await reader.read(1):
            writer.write(chunk * 3)

    with Server(talk) as server:
        for seed in range(20):
            with FaultProxy(server.port, seed=seed) as proxy, client(proxy) as connection:
                connection.sendall(b"GET /api/events HTTP/1.1\r\n\r\n")
                read_exactly(connection, len(head + chunk))
                assert proxy.messages(DOWN) == 1
                assert proxy.truncate(DOWN) == 1
                connection.sendall(b"x")
                passed = b""
                while data := connection.recv(1000):
                    passed += data
                assert (chunk * 3).startswith(passed)
                whole, part = divmod(len(passed), len(chunk))
                assert 0 < part - len(b"18\r\n") < len(event)
                assert proxy.messages(DOWN) == 1 + whole
                assert proxy.truncations == 1


# Boundaries


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_boundaries_do_not_depend_on_how_bytes_are_split(step):
    frames = [b"\x81\x00", b"\x81\x01a", b"\x81\x7e\x00\x80" + b"b" * 128]
    frames += [b"\x81\x7f" + (70_000).to_bytes(8, "big") + b"c" * 70_000, b"\x81\x83keysabc"]
    events = [b": open\n\n", b"6\r\na: 1\n\n\r\n", b"b\r\nid: 1\ndata\n\n"]
    for kind, parts in ((FrameBoundaries, frames), (EventBoundaries, events)):
        stream = b"".join(parts)
        ends = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
        boundaries, found = kind(), []
        for at in range(0, len(stream), step):
            data = stream[at : at + step]
            for places in boundaries.inside(data):
                assert 0 <= places.start < places.stop <= len(data) + 1
                assert not any(at + place in (0, *ends) for place in places)
            found.append(boundaries.feed(data))
        assert sum(found) == len(parts)
        expected = [
            sum(at < end <= at + step for end in ends) for at in range(0, len(stream), step)
        ]
        if kind is FrameBoundaries:
            assert found == expected
