"""How the gateway's tests talk to `/ws`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.clock import now
from tests.support.gateway import DEADLINE, Gateway


@asynccontextmanager
async def client(gateway: Gateway, **options: Any) -> AsyncIterator[ClientConnection]:
    options = {"proxy": None, "compression": None} | options
    async with asyncio.timeout(DEADLINE * 2), connect(gateway.websocket_url, **options) as socket:
        yield socket


async def send(socket: ClientConnection, kind: str, payload: Any = None, **fields: Any) -> None:
    frame = {"type": kind, "payload": payload, "timestamp": now(), **fields}
    await socket.send(json.dumps(frame))


async def receive(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


async def ids(socket: ClientConnection, count: int) -> list[str]:
    return [(await receive(socket))["id"] for _ in range(count)]


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Read to the end, and return the close code and reason that the gateway gave."""
    await everything(socket)
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def everything(socket: ClientConnection) -> list[str]:
    """Read to the end, and return the ids that came."""
    got: list[str] = []
    try:
        while True:
            got += await ids(socket, 1)
    except ConnectionClosed:
        return got


async def nothing_comes(socket: ClientConnection) -> None:
    """Assert that nothing is under way: the answer to a ping is the next frame."""
    await send(socket, "ping")
    assert (await receive(socket))["type"] == "pong"


async def authenticate(socket: ClientConnection, token: str) -> dict[str, Any]:
    """Show a token, and return the payload of the `auth-ok`."""
    await send(socket, "auth", {"token": token})
    frame = await receive(socket)
    assert frame["type"] == "auth-ok"
    payload: dict[str, Any] = frame["payload"]
    return payload


async def answer(socket: ClientConnection, frame_id: str | int) -> dict[str, Any]:
    """Read up to the `ack` or `nack` of a frame, and return it."""
    while True:
        frame = await receive(socket)
        if frame["type"] in ("ack", "nack") and frame["payload"]["id"] == frame_id:
            return frame


async def applied(socket: ClientConnection, kind: str, payload: Any, frame_id: str | int) -> str:
    """Send a frame that publishes, and return the id of its event."""
    await send(socket, kind, payload, id=frame_id)
    frame = await answer(socket, frame_id)
    assert frame["type"] == "ack", frame
    event_id: str = frame["payload"]["result"]["id"]
    return event_id
