from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.clock import now
from server.websocket import RESUME_WINDOW
from tests.support.gateway import DEADLINE, Gateway
from tests.unit.server.sockets import (
    client,
    closed,
    everything,
    ids,
    nothing_comes,
    receive,
    send,
)

pytestmark = pytest.mark.anyio


async def test_a_notification_frame(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": None})
        before = now()
        title = '<b>"é" שלום 👩‍👩‍👧‍👦 \u2028'
        made = gateway.post_notification(title, type="warning", message="Message", timestamp=5)
        frame = await receive(socket)
    assert before <= frame.pop("timestamp") <= now()
    assert frame == {
        "type": "notification",
        "id": made,
        "payload": {
            "id": made,
            "type": "warning",
            "title": title,
            "message": "Message",
            "timestamp": 5,
        },
    }


async def test_a_client_that_says_nothing_gets_everything_since_it_connected(
    gateway: Gateway,
) -> None:
    gateway.post_notification()
    async with client(gateway) as socket:
        made = [gateway.post_notification() for _ in range(3)]
        assert await ids(socket, 3) == made


async def test_activities_do_not_come_here(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        gateway.post_activity()
        made = gateway.post_notification()
        assert await ids(socket, 1) == [made]


async def test_everyone_gets_the_same(gateway: Gateway) -> None:
    async with client(gateway) as one, client(gateway) as two:
        gateway.wait_for_clients(websockets=2)
        made = [gateway.post_notification() for _ in range(20)]
        assert await ids(one, 20) == await ids(two, 20) == made
    gateway.wait_for_clients()


async def test_ping(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        await send(socket, "ping", {})
        frame = await receive(socket)
        assert frame.keys() == {"type", "payload", "timestamp"}
        assert (frame["type"], frame["payload"]) == ("pong", {})


@pytest.mark.parametrize("name", ["a", "é👩‍👩‍👧‍👦", 7, "x" * 200])
async def test_a_frame_with_an_id_is_acknowledged(gateway: Gateway, name: str | int) -> None:
    async with client(gateway) as socket:
        await send(socket, "ping", id=name)
        assert (await receive(socket))["type"] == "pong"
        frame = await receive(socket)
        assert (frame["type"], frame["payload"]) == ("ack", {"id": name})
        await send(socket, "join-document", id=name)
        frame = await receive(socket)
        assert frame["type"] == "nack"
        assert frame["payload"]["id"] == name
        assert "join-document" in frame["payload"]["error"]


async def test_an_unknown_type_without_an_id_is_ignored(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        await send(socket, "join-document", {"docId": "1"})
        await send(socket, "auth-ok", {})
        await nothing_comes(socket)


async def test_resume_replays_what_was_missed_and_goes_on(gateway: Gateway) -> None:
    made = [gateway.post_notification() for _ in range(5)]
    gateway.post_activity()
    async with client(gateway) as socket:
        made.append(gateway.post_notification())
        await send(socket, "resume", {"after": made[1]}, id="r")
        made.append(gateway.post_notification())
        assert await ids(socket, 3) == made[2:5]
        ack = await receive(socket)
        assert (ack["type"], ack["payload"]["id"]) == ("ack", "r")
        assert int(ack["payload"]["result"]["after"]) >= int(made[4])
        assert await ids(socket, 2) == made[5:]


async def test_a_token_before_resume_does_not_let_live_events_overtake(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret")
    token = gateway.login("ada", "secret")
    missed = gateway.post_notification()
    async with client(gateway) as socket:
        live = gateway.post_notification()
        await send(socket, "auth", {"token": token})
        await send(socket, "resume", {"after": str(int(missed) - 1)})
        assert (await receive(socket))["type"] == "auth-ok"
        assert await ids(socket, 2) == [missed, live]


async def test_resume_from_now(gateway: Gateway) -> None:
    gateway.post_notification()
    async with client(gateway) as socket:
        made = gateway.post_notification()
        await send(socket, "resume", {"after": None}, id=1)
        ack = await receive(socket)
        result = {"after": str(int(made) - 1), "hold": True}
        assert ack["payload"] == {"id": 1, "result": result}
        assert await ids(socket, 1) == [made]


async def test_a_late_resume_loses_nothing(gateway: Gateway) -> None:
    missed = [gateway.post_notification() for _ in range(3)]
    async with client(gateway) as socket:
        live = gateway.post_notification()
        assert await ids(socket, 1) == [live]
        await send(socket, "resume", {"after": missed[0]})
        assert await ids(socket, 2) == missed[1:]
        await nothing_comes(socket)


async def test_an_announced_resume_is_waited_for(gateway: Gateway) -> None:
    missed = [gateway.post_notification() for _ in range(3)]
    async with asyncio.timeout(DEADLINE), connect(f"{gateway.websocket_url}?resume=1") as socket:
        live = gateway.post_notification()
        # Longer than a resume that was not announced is waited for.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 2 * RESUME_WINDOW)
        await send(socket, "resume", {"after": missed[0]})
        assert await ids(socket, 3) == [*missed[1:], live]


async def test_who_is_held_back_hears_a_sign_of_life(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(RATE_LIMIT="0.01", RATE_BURST="1")
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": None})
        await send(socket, "ping")
        # Its own answer comes much later.
        assert (await receive(socket))["type"] == "pong"


async def test_a_second_resume_is_refused(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        gateway.post_notification()
        await send(socket, "resume", {"after": "0"}, id=1)
        while (await receive(socket))["type"] != "ack":
            pass
        await ids(socket, 1)
        await send(socket, "resume", {"after": "0"}, id=2)
        assert (await receive(socket))["type"] == "nack"
        await send(socket, "resume", {"after": "0"})
        await nothing_comes(socket)


async def test_an_id_of_a_log_that_was_replaced(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    old = [gateway.post_notification() for _ in range(3)][-1]
    gateway.kill()
    for path in gateway.data_dir.iterdir():
        path.unlink()
    gateway.start()
    # As many as before, and more: the old id must not count as one of these.
    new = [gateway.post_notification() for _ in range(5)]
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": old})
        assert (await receive(socket))["payload"] == {"reason": "unknown-id", "after": new[-1]}
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": "0"})
        assert await ids(socket, 5) == new


async def test_a_log_that_fails_while_a_client_resumes(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    made = gateway.post_notification()
    async with client(gateway) as socket:
        with contextlib.closing(sqlite3.connect(gateway.data_dir / "events.db")) as database:
            database.execute("DROP TABLE events")
        await send(socket, "resume", {"after": made}, id=1)
        # Nothing is missed after the last one; a position below needs the table.
        assert (await receive(socket))["type"] == "ack"
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": "0"}, id=1)
        assert await closed(socket) == (1013, "the event log is out of order")
    assert "Traceback" not in gateway.stderr


@pytest.mark.parametrize(
    "payload",
    [{"after": "999999"}, {"after": ""}, {"after": "x"}, {"after": 1}, {"after": ["1"]}, "1", []],
)
async def test_an_id_that_is_not_the_logs(gateway: Gateway, payload: Any) -> None:
    position = gateway.post_notification()
    async with client(gateway) as socket:
        await send(socket, "resume", payload)
        frame = await receive(socket)
        assert frame["type"] == "reset"
        assert frame["payload"] == {"reason": "unknown-id", "after": position}
        assert "id" not in frame
        made = gateway.post_notification()
        assert await ids(socket, 1) == [made]


async def test_an_id_beyond_the_horizon(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(REPLAY_HORIZON="100")
    made = [gateway.post_notification() for _ in range(150)]
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": made[0]})
        frame = await receive(socket)
        assert frame["payload"] == {"reason": "expired", "after": made[-1]}
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": made[60]})
        assert await ids(socket, 89) == made[61:]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "ping",
        "[]",
        "null",
        '"ping"',
        "1",
        "{}",
        '{"type":null}',
        '{"type":1}',
        '{"payload":{}}',
        '{"type":"ping","payload":NaN}',
        '{"type":"ping","id":{}}',
        '{"type":"ping","id":1.5}',
        '{"type":"ping","id":true}',
        r'{"type":"ping","id":"\ud800"}',
        json.dumps({"type": "ping", "id": "x" * 201}),
        "[" * 100_000,
        b'{"type":"ping"}',
        b"",
    ],
)
async def test_a_frame_that_is_none(gateway: Gateway, frame: str | bytes) -> None:
    async with client(gateway) as bad, client(gateway) as good:
        await bad.send(frame)
        code, reason = await closed(bad)
        assert code == 4400
        assert reason.startswith("expected ")
        await nothing_comes(good)


async def test_a_text_frame_that_is_not_utf8(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        await socket.send(b"\xff", text=True)
        assert (await closed(socket))[0] == 1007


@pytest.mark.parametrize("size", [1024 * 1024, 5 * 1024 * 1024])
async def test_a_frame_that_is_too_big(gateway: Gateway, size: int) -> None:
    async with client(gateway) as socket:
        await socket.send('{"type":"ping","payload":"' + "x" * size + '"}')
        assert await closed(socket) == (1009, "expected at most 1048576 bytes")


async def test_a_frame_that_is_far_too_big(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        with contextlib.suppress(ConnectionClosed):
            await socket.send("x" * 20 * 1024 * 1024)
        await everything(socket)
        # The gateway does not read it to its end, so its close frame may get lost.
        assert socket.close_code in (1009, 1006)
    assert gateway.health()["status"] == "ok"


async def test_a_frame_just_small_enough(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        frame = '{"type":"ping","payload":"'
        await socket.send(frame + "x" * (1024 * 1024 - len(frame) - 2) + '"}')
        assert (await receive(socket))["type"] == "pong"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_pages_from_elsewhere_are_refused(gateway: Gateway, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with client(gateway, origin=origin):
            pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("path", ["", "index.html", "nothing", "ws/documents", "ws/other/1"])
async def test_another_path(gateway: Gateway, path: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{gateway.port}/{path}", proxy=None):
            pass
    assert caught.value.response.status_code == 404
    assert "Traceback" not in gateway.stderr


async def test_the_gateways_own_page_and_listed_ones_are_not(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(ALLOWED_ORIGINS="https://app.example")
    for origin in (gateway.url.rstrip("/"), "https://app.example"):
        async with client(gateway, origin=origin) as socket:
            await nothing_comes(socket)


async def test_a_client_that_stops_reading_is_let_go_and_the_others_notice_nothing(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(CLIENT_QUEUE="50")
    # A window of a few frames, on the client's side; the kernel's buffers come on top.
    async with client(gateway, max_queue=1) as slow, client(gateway) as fast:
        gateway.wait_for_clients(websockets=2)
        made: list[str] = []
        while gateway.health()["websockets"] == 2:
            batch = [gateway.post_notification(message="x" * 100_000) for _ in range(10)]
            assert await ids(fast, 10) == batch
            made += batch
        got = await everything(slow)
        assert slow.close_code == 1013
        # What it got has no gap, and it can resume from there.
        assert 0 < len(got) < len(made)
        assert got == made[: len(got)]
        await nothing_comes(fast)
    async with client(gateway) as back:
        await send(back, "resume", {"after": got[-1]})
        assert await ids(back, len(made) - len(got)) == made[len(got) :]


async def test_killed_while_it_sends_then_restarted(start_gateway: Callable[..., Gateway]) -> None:
    """Every id that was answered with 201 arrives, once and in order."""
    gateway = start_gateway()
    made: list[str] = []
    got: list[str] = []
    for _ in range(3):
        async with client(gateway) as socket:
            await send(socket, "resume", {"after": got[-1] if got else "0"})
            made += [gateway.post_notification() for _ in range(50)]
            got += await ids(socket, 20)
            gateway.kill()
            got += await everything(socket)
        gateway.start()
        made.append(gateway.post_notification())
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": got[-1]})
        got += await ids(socket, len(made) - len(got))
        await nothing_comes(socket)
    assert got == made
    assert got == sorted(set(got), key=int)
