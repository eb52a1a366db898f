"""The platform over real sockets keeps what `services.platform` promises."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from services.errors import ConfigurationError, ConnectionFailed, RequestTimeout
from services.platform import Platform, StreamEvent
from tests.support import socket_platform
from tests.support.socket_platform import EventDecoder, SocketPlatform

Heard = list[tuple[Any, ...]]


class Listener:
    """Notes all it hears, of a socket, a stream or the page."""

    def __init__(self) -> None:
        self.heard: Heard = []

    def __getattr__(self, event: str) -> Callable[..., None]:
        def hear(*values: Any, **named: Any) -> None:
            self.heard.append((event, *values, *named.items()))

        return hear

    def of(self, event: str) -> Heard:
        return [words for words in self.heard if words[0] == event]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def run(test: Callable[[SocketPlatform], Awaitable[None]]) -> None:
    """Run a test with a platform, and see that it leaves nothing behind."""

    async def main() -> None:
        async with SocketPlatform(seed=1) as platform:
            await test(platform)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    gc.collect()  # what was not closed warns, and a warning fails


@asynccontextmanager
async def websocket_server(
    talk: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0, close_timeout=0.1, max_queue=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


@asynccontextmanager
async def http_server(*parts: bytes, requests: list[bytes] | None = None) -> AsyncIterator[str]:
    """Answers every request with these bytes, one piece at a time; b"" stays open there."""

    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            request = await reader.readuntil(b"\r\n\r\n")
            if requests is not None:
                requests.append(request)
            for part in parts:
                if not part:
                    await reader.read()
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)  # so that it comes in pieces
            writer.write_eof()
            await reader.read()
        writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/events"
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


def open_stream(platform: SocketPlatform, url: str, **options: Any) -> tuple[Listener, Any]:
    listener = Listener()
    defaults = {"with_credentials": True, "last_event_id": "", "token": None}
    return listener, platform.open_event_stream(url, listener, **defaults | options)


def head(*lines: str, status: str = "200 OK", kind: str = "text/event-stream") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *lines)
    return "\r\n".join([*lines, "", ""]).encode()


def test_it_is_a_platform() -> None:
    async def test(platform: SocketPlatform) -> None:
        expected: Platform = platform
        for name in vars(Platform):
            assert name.startswith("_") or hasattr(expected, name), name

    run(test)


# WebSockets


def test_a_socket_opens_talks_and_closes() -> None:
    async def test(platform: SocketPlatform) -> None:
        closes: list[tuple[int | None, str | None]] = []

        async def talk(connection: ServerConnection) -> None:
            with suppress(ConnectionClosed):
                async for frame in connection:
                    await connection.send(frame)
            closes.append((connection.close_code, connection.close_reason))

        async with websocket_server(talk) as url:
            listener = Listener()
            socket = platform.open_websocket(url, listener)
            socket.send("before it is open: dropped")
            assert listener.heard == []
            await until(lambda: listener.of("opened"))
            for frame in ("text ☃", b"binary", ""):
                socket.send(frame)
            await until(lambda: sum(len(frames) for _, frames in listener.of("received")) == 3)
            got = [frame for _, frames in listener.of("received") for frame in frames]
            assert got == ["text ☃", b"binary", ""]
            assert socket.buffered == 0
            before = list(listener.heard)
            socket.close(4000, "bye")
            socket.close(4000, "bye")
            socket.send("too late")
            await until(lambda: closes)
            assert closes == [(4000, "bye")]
            assert listener.heard == before

    run(test)


def test_many_frames_come_in_batches_in_order() -> None:
    async def test(platform: SocketPlatform) -> None:
        async def talk(connection: ServerConnection) -> None:
            for n in range(10_000):
                await connection.send(f"{n:08}")
            await connection.send(["frag", "men", "ted"])
            await connection.wait_closed()

        async with websocket_server(talk) as url:
            listener = Listener()
            socket = platform.open_websocket(url, listener)
            await until(lambda: listener.heard and listener.heard[-1][-1][-1:] == ["fragmented"])
            batches = [frames for _, frames in listener.of("received")]
            expected = [f"{n:08}" for n in range(10_000)]
            assert [frame for frames in batches for frame in frames][:-1] == expected
            assert len(batches) < 5_000
            socket.close(1000, "")

    run(test)


def test_how_a_socket_ends_is_heard_once() -> None:
    async def test(platform: SocketPlatform) -> None:
        async def talk(connection: ServerConnection) -> None:
            match connection.request.path:
                case "/ws?closed":
                    await connection.close(1013, "too slow")
                case "/ws?cut":
                    connection.transport.abort()
                case "/ws?text":
                    await connection.send(b"\xff", text=True)
                    await connection.wait_closed()

        async with websocket_server(talk) as url:
            for end, code, reason in (
                ("closed", 1013, "too slow"),
                ("cut", 1006, ""),
                ("text", 1006, ""),
            ):
                listener = Listener()
                socket = platform.open_websocket(f"{url}?{end}", listener)
                await until(lambda listener=listener: listener.of("closed"))
                assert listener.of("closed") == [("closed", code, reason)]
                socket.close(1000, "")
                await asyncio.sleep(0)
                assert listener.heard[-1][0] == "closed"

    run(test)


def test_what_does_not_open_is_1006() -> None:
    async def test(platform: SocketPlatform) -> None:
        async with http_server(head(status="403 Forbidden", kind="text/plain")) as url:
            url = url.replace("http", "ws")
            refused = Listener()
            platform.open_websocket(url, refused)
            await until(lambda: refused.heard)
        nobody = Listener()
        platform.open_websocket(url, nobody)
        await until(lambda: nobody.heard)
        for listener in (refused, nobody):
            assert [(words[0], words[1]) for words in listener.heard] == [("closed", 1006)]

    run(test)


def test_a_socket_that_is_closed_before_it_opens_is_silent() -> None:
    async def test(platform: SocketPlatform) -> None:
        opened = 0

        async def talk(connection: ServerConnection) -> None:
            nonlocal opened
            opened += 1

        async with websocket_server(talk) as url:
            listener = Listener()
            for turns in range(8):
                socket = platform.open_websocket(url, listener)
                for _ in range(turns):
                    await asyncio.sleep(0)
                if listener.heard:
                    break
                socket.close(1000, "")
            assert turns > 2
            await until(lambda: not platform._connections)
            assert {words[0] for words in listener.heard} <= {"opened"}

    run(test)


def test_a_server_that_does_not_end_the_connection_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_platform, "FAREWELL", 0.1)

    async def test(platform: SocketPlatform) -> None:
        left = asyncio.Event()

        async def talk(connection: ServerConnection) -> None:
            connection.transport.pause_reading()  # so that it never sees the close frame
            await left.wait()

        async with websocket_server(talk) as url:
            listener = Listener()
            socket = platform.open_websocket(url, listener)
            await until(lambda: listener.heard)
            socket.close(1000, "")
            await until(lambda: not platform._connections)
            left.set()

    run(test)


def test_bytes_that_cannot_leave_are_counted() -> None:
    async def test(platform: SocketPlatform) -> None:
        reading = asyncio.Event()

        async def talk(connection: ServerConnection) -> None:
            connection.transport.pause_reading()
            await reading.wait()
            connection.transport.resume_reading()
            await connection.wait_closed()

        async with websocket_server(talk) as url:
            listener = Listener()
            socket = platform.open_websocket(url, listener)
            await until(lambda: listener.heard)
            for _ in range(20):
                socket.send("x" * 1_000_000)
            assert socket.buffered > 5_000_000
            reading.set()
            await until(lambda: socket.buffered == 0)
            socket.close(1000, "")

    run(test)


# Event streams


def test_a_stream_tells_of_its_events() -> None:
    async def test(platform: SocketPlatform) -> None:
        requests: list[bytes] = []
        parts = [
            head("Last-Event-ID: 41"),
            b": open\n\n",
            b'retry: 1500\nid: 42\nevent: activity\ndata: {"a"',
            b':\ndata: "\xe2\x98',
            b'\x83"}\n\nid: 43\n\n',
            b"data: last\r\n\r\nid: 44\nda",
        ]
        async with http_server(*parts, requests=requests) as url:
            options = {"last_event_id": "40", "token": "secret"}
            listener, _ = open_stream(platform, url, **options)
            assert listener.heard == []
            await until(lambda: listener.of("closed"))
        heard = [words for words in listener.heard if words[0] != "alive"]
        assert heard == [
            ("opened", "41"),
            ("retry_in", 1.5),
            ("received", [StreamEvent("activity", '{"a":\n"☃"}', "42")]),
            ("positioned", "43"),
            ("received", [StreamEvent("message", "last", "43")]),
            ("closed", None, "the stream ended", None),
        ]
        assert len(listener.of("alive")) >= 5
        lines = requests[0].decode().split("\r\n")
        assert "Last-Event-ID: 40" in lines
        assert "Authorization: Bearer secret" in lines

    run(test)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (head(status="503 Away", kind="text/plain"), (503, None)),
        (head("Retry-After: 7", status="429 Slow", kind="text/plain"), (429, 7.0)),
        (head("Retry-After: Wed", status="429 Slow", kind="text/plain"), (429, None)),
        (head(status="204 No Content"), (204, None)),
        (head(kind="text/html"), (200, None)),
        (b"", (None, None)),
        (b"HTTP/1.1 200 OK\r\nTransf", (None, None)),
        (b"SMTP\r\n\r\n", (None, None)),
    ],
)
def test_what_is_no_stream_is_closed_with_its_status(answer, expected) -> None:
    async def test(platform: SocketPlatform) -> None:
        async with http_server(*([answer] if answer else [])) as url:
            listener, _ = open_stream(platform, url)
            await until(lambda: listener.heard)
        ((word, status, reason, retry_after),) = listener.heard
        assert (word, (status, retry_after)) == ("closed", expected)
        assert reason

    run(test)


def test_a_chunked_stream_that_is_cut_is_a_network_error() -> None:
    async def test(platform: SocketPlatform) -> None:
        chunked = head("Transfer-Encoding: chunked")
        async with http_server(chunked, b"9\r\ndata: a\n\n\r\n", b"9\r\ndat") as url:
            listener, _ = open_stream(platform, url)
            await until(lambda: listener.of("closed"))
        assert listener.of("received") == [("received", [StreamEvent("message", "a", "")])]
        assert listener.of("closed")[0][1] is None

    run(test)


def test_a_cancelled_stream_is_silent() -> None:
    async def test(platform: SocketPlatform) -> None:
        async with http_server(head(), b"data: 1\n\n", b"") as url:
            for turns in (0, 1, 5):
                listener, cancel = open_stream(platform, url)
                for _ in range(turns):
                    await asyncio.sleep(0)
                cancel()
                cancel()
                await until(lambda: not platform._tasks)
                assert listener.heard == []
            listener, cancel = open_stream(platform, url)
            await until(lambda: listener.of("received"))
            before = list(listener.heard)
            cancel()
            await until(lambda: not platform._tasks)
            assert listener.heard == before

    run(test)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_do_not_depend_on_how_bytes_are_split(size) -> None:
    text = (
        "\ufeffdata: a\r\ndata\rid: 1\n\n"  # three kinds of line end; an empty line of data
        "event: b\nid: 2\n\n"  # without data it is no event, but its id counts
        "data:  two spaces\nid: \0\nretry: 1x\nretry: 20\nnonsense: 1\n\n"
        ": only a comment\n\ndata: é\nid\n\ndata: never ended\n"
    )
    decoder, events = EventDecoder(), []
    for at in range(0, len(text.encode()), size):
        decoder.feed(text.encode()[at : at + size])
        events += decoder.take()
    assert events == [
        ("message", "a\n", "1"),
        ("message", " two spaces", "2"),
        ("message", "é", ""),
    ]
    assert decoder.retry == 20
    assert decoder.last_event_id == ""
    assert not decoder.positioned


# The rest


def test_watchers_hear_what_the_test_fires() -> None:
    async def test(platform: SocketPlatform) -> None:
        listener = Listener()
        cancel = platform.watch(listener)
        platform.fire("online")
        platform.fire("left", kept=True)
        cancel()
        cancel()
        platform.fire("offline")
        assert listener.heard == [("online",), ("left", ("kept", True))]

    run(test)


def test_timers_fire_once_or_are_cancelled() -> None:
    async def test(platform: SocketPlatform) -> None:
        fired = []
        started = platform.now()
        platform.call_later(0.02, lambda: fired.append(platform.now() - started))
        cancel = platform.call_later(0.01, lambda: fired.append(-1))
        platform.call_later(0, lambda: 1 / 0)
        platform.call_later(60, lambda: None)  # ended by the platform's end
        cancel()
        cancel()
        await until(lambda: fired)
        assert len(fired) == 1
        assert fired[0] >= 0.02
        assert [type(error) for error in platform.reported] == [ZeroDivisionError]

    run(test)


def test_a_listener_that_fails_is_reported() -> None:
    async def test(platform: SocketPlatform) -> None:
        class Failing(Listener):
            def opened(self) -> None:
                raise LookupError("mine")

        async def talk(connection: ServerConnection) -> None:
            await connection.send("a")

        async with websocket_server(talk) as url:
            listener = Failing()
            platform.open_websocket(url, listener)
            await until(lambda: listener.of("closed"))
        assert [words[0] for words in listener.heard] == ["received", "closed"]
        assert [str(error) for error in platform.reported] == ["mine"]

    run(test)


def test_storage_and_urls_and_chance() -> None:
    async def test(platform: SocketPlatform) -> None:
        assert platform.stored("key") is None
        platform.store("key", "value")
        assert platform.stored("key") == "value"
        assert platform.resolve("/ws", websocket=True) == "ws://127.0.0.1/ws"
        assert platform.resolve("https://x.example/a") == "https://x.example/a"
        with pytest.raises(ConfigurationError):
            platform.resolve("ftp://x.example/")
        async with SocketPlatform(seed=1) as other:
            assert [platform.random() for _ in range(3)] == [other.random() for _ in range(3)]

    run(test)


def test_fetch_answers_or_says_why_not() -> None:
    async def test(platform: SocketPlatform) -> None:
        requests: list[bytes] = []
        answer = head(status="201 Created", kind="application/json") + b'{"id":"1"}'
        async with http_server(answer, requests=requests) as url:
            got = await platform.fetch("POST", url, body="{}", timeout=5)
            assert (got.status, got.text) == (201, '{"id":"1"}')
            assert b"Content-Type: application/json" in requests[0]
        async with http_server(b"") as url:
            with pytest.raises(RequestTimeout):
                await platform.fetch("GET", url, timeout=0.05)
        with pytest.raises(ConnectionFailed):
            await platform.fetch("GET", url, timeout=5)

    run(test)
