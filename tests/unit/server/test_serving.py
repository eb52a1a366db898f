"""How the gateway stops."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import socket
from collections.abc import Callable

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.gateway import DEADLINE, Gateway, wait_until
from tests.unit.server.sockets import answer, client, closed, everything, receive, send

pytestmark = pytest.mark.anyio

ACTIVITY = {"userName": "Ada", "action": "edited", "target": "notes"}


def stuck_websocket(gateway: Gateway) -> socket.socket:
    """Return a WebSocket that never reads."""
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=DEADLINE)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    return connection


def fill(gateway: Gateway) -> None:
    """Publish more than the sockets of a client that does not read can hold."""
    for _ in range(100):
        gateway.post_notification(message="x" * 200_000)
        gateway.post_activity(target="x" * 200_000)


def refuses(gateway: Gateway) -> bool:
    """Tell whether the gateway accepts no connection."""
    try:
        socket.create_connection(("127.0.0.1", gateway.port)).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_what_waits_for_a_websocket_is_sent_first(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    async with client(gateway, max_queue=1) as socket:
        await send(socket, "resume", {"after": None})
        made = [gateway.post_notification(message="x" * 200_000) for _ in range(100)]
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        assert await everything(socket) == made
        assert (socket.close_code, socket.close_reason) == (1012, "restarting")
        assert await stopping < 4
    assert gateway.status == 0


async def test_what_waits_for_an_event_stream_is_sent_first(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    async with (
        httpx.AsyncClient(timeout=DEADLINE) as http,
        http.stream("GET", gateway.events_url) as response,
    ):
        gateway.wait_for_clients(event_streams=1)
        made = [gateway.post_activity(target="x" * 200_000) for _ in range(50)]
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        got = [
            line.removeprefix("id: ") async for line in response.aiter_lines() if line[:3] == "id:"
        ]
        assert got == made
        assert await stopping < 4


async def test_frames_that_came_are_answered_first(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": None})
        for n in range(500):
            await send(socket, "activity", ACTIVITY, id=n)
        results = [(await answer(socket, 0))["payload"]["result"]["id"]]
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        results += [(await answer(socket, n))["payload"]["result"]["id"] for n in range(1, 500)]
        assert await closed(socket) == (1012, "restarting")
        assert await stopping < 4
    gateway.start()
    assert gateway.get("api/activities?limit=1").json()[0]["id"] == results[-1]


async def test_whatever_was_acknowledged_is_kept_however_it_stops(
    start_gateway: Callable[..., Gateway],
) -> None:
    """A client that goes on sending: at some frame its connection ends, and none is half done."""
    gateway = start_gateway(RATE_LIMIT="100000", RATE_BURST="100000")
    acknowledged: dict[str, str] = {}
    async with client(gateway) as socket:
        stopping = None
        with contextlib.suppress(ConnectionClosed):
            for n in range(100_000):
                await send(socket, "activity", ACTIVITY | {"target": str(n)}, id=n)
                frame = await receive(socket)
                acknowledged[str(n)] = frame["payload"]["result"]["id"]
                if n == 20:
                    stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        assert socket.close_code == 1012
        assert stopping
        assert await stopping < 4.5
    gateway.start()
    listed = gateway.get("api/activities?limit=100").json()
    stored = {item["target"]: item["id"] for item in listed}
    assert len(acknowledged) > 20
    for n in list(acknowledged)[-20:]:
        assert stored[n] == acknowledged[n]


async def test_nobody_new_is_let_in(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    with stuck_websocket(gateway):
        gateway.wait_for_clients(websockets=1)
        fill(gateway)
        assert gateway.health()["websockets"] == 1
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))

        await asyncio.to_thread(wait_until, lambda: refuses(gateway))
        # While the one that is stuck is still being waited for.
        assert not stopping.done()
        assert await stopping < 5


async def test_clients_that_do_not_read_do_not_hold_it_up(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    with (
        stuck_websocket(gateway),
        socket.create_connection(("127.0.0.1", gateway.port)) as stream,
    ):
        stream.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        gateway.wait_for_clients(websockets=1, event_streams=1)
        fill(gateway)
        assert gateway.health()["websockets"] == gateway.health()["event_streams"] == 1
        assert await asyncio.to_thread(gateway.stop) < 5
    assert gateway.status == 0
    assert "Traceback" not in gateway.stderr


async def test_a_client_that_does_not_answer_the_close_frame(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    with stuck_websocket(gateway):
        gateway.wait_for_clients(websockets=1)
        assert await asyncio.to_thread(gateway.stop) < 5
    assert gateway.status == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(
    start_gateway: Callable[..., Gateway], second: signal.Signals
) -> None:
    gateway = start_gateway()
    with stuck_websocket(gateway):
        gateway.wait_for_clients(websockets=1)
        fill(gateway)
        os.kill(gateway.pid, signal.SIGTERM)
        # Two at the same moment would be one.
        await asyncio.to_thread(wait_until, lambda: refuses(gateway))
        assert await asyncio.to_thread(gateway.stop, second) < 1
    assert gateway.status == -second
