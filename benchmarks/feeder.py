"""A server that sends faster than any client receives, and the page to receive with.

Run as a process of its own (`python -m benchmarks.feeder`), it prints its port, then reads a
command from each line of its input and answers each with a line: JSON both. `Feeder` is the other
end of that pipe. The library does the handshake; frames and events are encoded in advance and go
to the transport as they are, a burst in a single write.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import uvloop
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from tests.support.gateway import wait_until

ROOT = Path(__file__).resolve().parents[1]

#: What the page is made of comes from these, the first that has it.
FOLDERS = (
    ROOT / "benchmarks" / "clients",
    ROOT / "benchmarks" / "peer",
    ROOT / "build" / "benchmarks",
    ROOT,
)

CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"Connection: close\r\n\r\n:\n\n"
)

#: A notification as the gateway sends it. The number has always as many digits, so that all
#: frames are of one length.
PAYLOAD = (
    '{"id":"%d","type":"info","title":"Build %d has passed","message":"All 412 checks of main'
    ' are green after three minutes.","timestamp":1760000000000}'
)
FIRST_NUMBER = 1_000_001


def frame(type_: str, number: int) -> bytes:
    """Return a whole WebSocket frame."""
    payload = PAYLOAD % (number, number)
    text = f'{{"type":"{type_}","payload":{payload},"timestamp":1760000000000,"id":"{number}"}}'
    # RFC 6455 §5.2: FIN and the opcode of text; 126 announces two bytes of length.
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text.encode()


def event(type_: str, number: int) -> bytes:
    """Return a whole server-sent event."""
    return f"id: {number}\nevent: {type_}\ndata: {PAYLOAD % (number, number)}\n\n".encode()


class Server:
    """Serves the page, and feeds whoever is connected last."""

    def __init__(self) -> None:
        self._number = FIRST_NUMBER
        self.receivers: dict[asyncio.WriteTransport, Callable[[str, int], bytes]] = {}

    def encode(self, type_: str, count: int) -> bytes:
        """Return the bytes of so many messages for the one receiver there is."""
        [make] = self.receivers.values()
        first, self._number = self._number, self._number + count
        return b"".join(make(type_, number) for number in range(first, self._number))

    def send(self, data: bytes) -> float:
        """Send, and return when, on the clock that Chromium's traces have on Linux (ms)."""
        [transport] = self.receivers
        moment = time.monotonic() * 1000
        transport.write(data)
        return moment

    async def bursts(self, type_: str, size: int, pauses: list[float]) -> list[float]:
        """Send a burst, all in one write, before each of the pauses; return when."""
        bursts = [self.encode(type_, size) for _ in pauses]
        moments = []
        for burst, pause in zip(bursts, pauses, strict=True):
            moments.append(self.send(burst))
            await asyncio.sleep(pause)
        return moments

    async def stream(self, count: int) -> float:
        """Send so many between a `begin` and an `end`, as fast as they are taken."""
        data = self.encode("begin", 1) + self.encode("notification", count) + self.encode("end", 1)
        return self.send(data)

    async def connected(self) -> int:
        """Return how many receive."""
        return len(self.receivers)


class Connection(asyncio.Protocol):
    """One connection: a file, a WebSocket, or an event stream."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._protocol = ServerProtocol()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 30)

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for received in self._protocol.events_received():
            if isinstance(received, Request):
                self._answer(received)
        self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, _: Exception | None) -> None:
        self._server.receivers.pop(self._transport, None)

    def _answer(self, request: Request) -> None:
        path = request.path.partition("?")[0].lstrip("/")
        if path == "feed":
            self._protocol.send_response(self._protocol.accept(request))
            self._server.receivers[self._transport] = frame
        elif path == "feed.events":
            self._transport.write(STREAM_HEAD)
            self._server.receivers[self._transport] = event
        else:
            self._protocol.send_response(file(path))

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()


def file(path: str) -> Response:
    """Return the answer to a GET."""
    for folder in FOLDERS:
        found = (folder / path).resolve()
        if found.is_file() and found.is_relative_to(folder):
            body = found.read_bytes()
            kind = CONTENT_TYPES.get(found.suffix, "application/octet-stream")
            headers = Headers({"Content-Type": kind, "Content-Length": str(len(body))})
            return Response(200, "OK", headers, body)
    return Response(404, "Not Found", Headers({"Content-Length": "0"}), b"")


async def serve() -> None:
    """Serve on a free port until the input ends."""
    loop = asyncio.get_running_loop()
    server = Server()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0)
    print(json.dumps(listening.sockets[0].getsockname()[1]), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, *arguments = json.loads(line)
        print(json.dumps(await getattr(server, command)(*arguments)), flush=True)


class Feeder:
    """The process, for the program that measures."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.feeder"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port: int = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    @property
    def url(self) -> str:
        """Where the page is, with a slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    def bursts(self, type_: str, size: int, pauses: Iterable[float]) -> list[float]:
        """Send a burst before each of the pauses (s); return when (ms)."""
        moments: list[float] = self._ask("bursts", type_, size, list(pauses))
        return moments

    def stream(self, count: int) -> None:
        """Send so many at once, between a `begin` and an `end`."""
        self._ask("stream", count)

    def wait_for_receivers(self, count: int) -> None:
        """Return once so many receive."""
        wait_until(lambda: self._ask("connected") == count)

    def _ask(self, *command: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the feeder has ended"
        return json.loads(line)


if __name__ == "__main__":
    uvloop.run(serve())
