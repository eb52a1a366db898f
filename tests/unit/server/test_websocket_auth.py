from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from server import admission, app, websocket
from server.settings import Settings
from tests.support.gateway import Gateway
from tests.unit.server.sockets import (
    answer,
    applied,
    authenticate,
    client,
    closed,
    ids,
    nothing_comes,
    receive,
    send,
)

pytestmark = pytest.mark.anyio


async def test_a_token_lets_in(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    async with client(locked) as socket:
        payload = await authenticate(socket, token)
        assert payload.keys() == {"user", "expiresIn"}
        assert payload["user"]["name"] == "ada"
        assert 290 <= payload["expiresIn"] <= 301
        made = locked.post_notification()
        assert await ids(socket, 1) == [made]


async def test_an_id_is_acknowledged_after_the_answer(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    async with client(locked) as socket:
        await send(socket, "auth", {"token": token}, id="a")
        assert (await receive(socket))["type"] == "auth-ok"
        frame = await receive(socket)
        assert (frame["type"], frame["payload"]) == ("ack", {"id": "a"})


async def test_a_client_need_not_wait_for_answers(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    made = [locked.post_notification() for _ in range(3)]
    async with client(locked) as socket:
        await send(socket, "auth", {"token": token})
        await send(socket, "resume", {"after": str(int(made[0]) - 1)}, id="r")
        await send(socket, "notification", {"title": "one"}, id="n")
        assert (await receive(socket))["type"] == "auth-ok"
        assert await ids(socket, 3) == made
        assert (await receive(socket))["payload"]["id"] == "r"
        assert (await answer(socket, "n"))["type"] == "ack"


@pytest.mark.parametrize("kind", ["ping", "resume", "notification", "nothing", "pong"])
async def test_another_first_frame(locked: Gateway, kind: str) -> None:
    async with client(locked) as socket:
        await send(socket, kind, {"after": None, "title": "x"}, id=1)
        with pytest.raises(ConnectionClosed):
            await receive(socket)
        assert socket.close_code == 4401
        assert socket.close_reason == "expected auth as the first frame"


BAD = [
    None,
    {},
    [],
    "x",
    {"token": None},
    {"token": 5},
    {"token": ""},
    {"token": "x"},
    {"token": "x" * 100_000},
    {"token": "\ud800"},
    {"token": "eyJhbGciOiJub25lIn0.e30."},
]


@pytest.mark.parametrize("payload", BAD)
@pytest.mark.parametrize("is_locked", [True, False])
async def test_a_bad_token_ends_it_and_what_follows_is_not_acted_upon(
    gateway: Gateway, locked: Gateway, is_locked: bool, payload: Any
) -> None:
    door = locked if is_locked else gateway
    if is_locked:
        token = locked.login("ada", "secret")
    async with client(door) as socket, client(door) as witness:
        if is_locked:
            await authenticate(witness, token)
        # In one piece, so that all of it is there when the first is read.
        frames = [{"type": "auth", "payload": payload}] + [
            {"type": "notification", "payload": {"title": "forged"}, "id": n} for n in range(5)
        ]
        socket.transport.pause_reading()
        for frame in frames:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(json.dumps(frame))
        socket.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            await receive(socket)
        assert socket.close_code == 4401
        assert socket.close_reason in ("token not valid", 'expected a string as "token"')
        await nothing_comes(witness)


async def test_nothing_is_sent_before(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    async with client(locked) as socket:
        made = [locked.post_notification() for _ in range(3)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(websocket.RESUME_WINDOW * 2):
                await receive(socket)
        await authenticate(socket, token)
        assert await ids(socket, 3) == made


async def test_a_client_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admission.AUTH_WINDOW == 10
    monkeypatch.setattr(admission, "AUTH_WINDOW", 0.05)
    gateway = app.Gateway(Settings(data_dir=tmp_path, require_auth=True))
    received = iter([{"type": "websocket.connect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(received, None) or await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1")]
    scope = {"type": "websocket", "path": "/ws", "headers": headers, "query_string": b""}
    await gateway.app()(scope, receive, send)
    gateway.close()
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert (sent[1]["code"], sent[1]["reason"]) == (4401, "expected auth within 0.05 s")


async def test_an_expired_token_ends_it(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", ACCESS_TOKEN_TTL="1")
    token = gateway.login("ada", "secret")
    async with client(gateway) as socket:
        assert (await authenticate(socket, token))["expiresIn"] <= 1
        assert await closed(socket) == (4401, "token expired")
    async with client(gateway) as socket:
        await send(socket, "auth", {"token": token})
        assert await closed(socket) == (4401, "token expired")


async def test_a_new_token_prolongs_it(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", ACCESS_TOKEN_TTL="2")
    first = gateway.login("ada", "secret")
    async with client(gateway) as socket, client(gateway) as other:
        await authenticate(socket, first)
        await authenticate(other, first)
        await _refreshed(gateway, first, socket)
        # The token that both began with expires, and ends only the one that has no other.
        assert await closed(other) == (4401, "token expired")
        await nothing_comes(socket)


async def _refreshed(gateway: Gateway, old: str, socket: ClientConnection) -> None:
    """Show tokens to a connection until one is of a later second than `old`."""

    def expiry(token: str) -> int:
        return int(jwt.decode(token, options={"verify_signature": False})["exp"])

    gateway.token = None
    while True:
        token = gateway.post("api/refresh").json()["accessToken"]
        if expiry(token) > expiry(old):
            await authenticate(socket, token)
            return
        await asyncio.sleep(0.05)


async def test_one_connection_is_one_users(locked: Gateway) -> None:
    ada, bob = locked.login("ada", "secret"), locked.login("bob", "s3:cret")
    async with client(locked) as socket:
        await authenticate(socket, ada)
        await send(socket, "auth", {"token": bob})
        assert await closed(socket) == (4403, "expected a token of the same user")


async def test_a_guest_may_log_in_later(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret")
    token = gateway.login("ada", "secret")
    async with client(gateway) as socket:
        await nothing_comes(socket)
        await authenticate(socket, token)
        gateway.post("api/logout")
        assert await closed(socket) == (4401, "session ended")


async def test_a_logout_ends_the_sessions_connections_and_no_others(locked: Gateway) -> None:
    ada = locked.login("ada", "secret")
    bob = locked.login("bob", "s3:cret")
    locked.forget()
    again = locked.login("ada", "secret")
    async with client(locked) as one, client(locked) as two, client(locked) as other:
        await authenticate(one, ada)
        await authenticate(two, bob)
        await authenticate(other, again)
        locked.post("api/logout")
        assert await closed(other) == (4401, "session ended")
        await nothing_comes(one)
        await nothing_comes(two)


async def test_after_a_logout_nothing_that_came_before_it_is_applied(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    async with client(locked) as socket:
        await authenticate(socket, token)
        locked.post("api/logout")
        with contextlib.suppress(ConnectionClosed):
            await send(socket, "activity", {"userName": "a", "action": "b", "target": "late"})
        await closed(socket)
    locked.forget()
    locked.login("bob", "s3:cret")
    assert "late" not in [item["target"] for item in locked.get("api/activities").json()]


async def test_the_ids_of_frames_are_the_users_own(locked: Gateway) -> None:
    ada, bob = locked.login("ada", "secret"), locked.login("bob", "s3:cret")
    async with client(locked) as one, client(locked) as two:
        await authenticate(one, ada)
        await authenticate(two, bob)
        title = {"title": "same id"}
        first = await applied(one, "notification", title, "shared")
        assert await applied(two, "notification", title, "shared") != first
        assert await applied(one, "notification", title, "shared") == first


async def test_no_token_in_the_log_or_in_a_close_frame(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret")
    token = gateway.login("ada", "secret")
    changed = token[:-5] + "AAAAA"
    async with client(gateway) as socket:
        await send(socket, "auth", {"token": changed})
        code, reason = await closed(socket)
        assert code == 4401
        assert token[:20] not in reason
    async with client(gateway) as socket:
        await authenticate(socket, token)
    gateway.stop()
    assert token[:20] not in gateway.stderr
    ends = [r for r in gateway.log if r["message"] == "WebSocket closed"]
    assert [(r["code"], r.get("user")) for r in ends] == [(4401, None), (1000, "ada")]
