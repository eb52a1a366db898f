"""Frames that publish: acknowledged, and applied once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.gateway import Gateway
from tests.unit.server.sockets import (
    answer,
    applied,
    client,
    closed,
    ids,
    nothing_comes,
    receive,
    send,
)
from tests.unit.server.test_event_stream import events, stream

pytestmark = pytest.mark.anyio

ACTIVITY = {"userName": "Ada", "action": "edited", "target": "notes"}


async def test_a_notification_reaches_every_socket(gateway: Gateway) -> None:
    async with client(gateway) as one, client(gateway) as two:
        payload = {"title": "é", "type": "warning", "timestamp": 5, "other": 1}
        await send(one, "notification", payload, id="n1")
        frame = await receive(two)
        assert frame["payload"] == {
            "id": frame["id"],
            "title": "é",
            "type": "warning",
            "message": "",
            "timestamp": 5,
        }
        acknowledged = await answer(one, "n1")
        assert acknowledged["payload"] == {"id": "n1", "result": {"id": frame["id"]}}


async def test_an_activity_reaches_every_stream_and_no_socket(gateway: Gateway) -> None:
    with stream(gateway) as response:
        async with client(gateway) as socket:
            made = await applied(socket, "activity", ACTIVITY, "a1")
            await nothing_comes(socket)
        event = await asyncio.to_thread(lambda: next(events(response)))
        assert (event.id, event.event) == (made, "activity")
    assert gateway.get("api/activities").json()[0]["id"] == made


async def test_without_an_id_there_is_no_answer(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        await send(socket, "notification", {"title": "plain"})
        assert (await receive(socket))["payload"]["title"] == "plain"
        await send(socket, "notification", {"title": ""})
        await send(socket, "activity", "x")
        await nothing_comes(socket)


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        ("notification", {}, "title must be a string that is not blank, but is missing"),
        ("notification", {"title": 1}, "title must be a string that is not blank"),
        ("notification", {"title": "x", "type": "fatal"}, "type must be one of"),
        ("notification", None, "payload must be a JSON object, but is null"),
        ("notification", "x", "payload must be a JSON object"),
        ("activity", [], "payload must be a JSON object, but is an array"),
        ("activity", {"userName": "Ada"}, "action must be"),
        ("activity", ACTIVITY | {"timestamp": -1}, "timestamp must be"),
    ],
)
async def test_what_is_wrong_is_refused_and_can_be_put_right(
    gateway: Gateway, kind: str, payload: Any, error: str
) -> None:
    async with client(gateway) as socket:
        frame_id = f"wrong {kind} {payload}"
        for _ in range(2):
            await send(socket, kind, payload, id=frame_id)
            frame = await receive(socket)
            assert (frame["type"], frame["payload"]["id"]) == ("nack", frame_id)
            assert frame["payload"]["error"].startswith(error)
        assert await applied(socket, kind, ACTIVITY | {"title": "right"}, frame_id)


async def test_frames_are_applied_in_the_order_they_came(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        for n in range(50):
            await send(socket, "notification", {"title": str(n)}, id=f"order {n}")
            await send(socket, "ping", {}, id=f"ping {n}")
        answers = []
        titles = []
        while len(answers) < 100 or len(titles) < 50:
            frame = await receive(socket)
            if frame["type"] == "ack":
                answers.append(frame["payload"]["id"])
            elif frame["type"] == "notification":
                titles.append(frame["payload"]["title"])
        assert answers == [f"{kind} {n}" for n in range(50) for kind in ("order", "ping")]
        assert titles == [str(n) for n in range(50)]


async def test_the_same_id_again_is_acknowledged_and_not_applied(gateway: Gateway) -> None:
    title = {"title": "once"}
    async with client(gateway) as socket, client(gateway) as witness:
        made = await applied(socket, "notification", title, "again")
        assert await applied(socket, "notification", title, "again") == made
        assert await applied(socket, "activity", ACTIVITY, "again") == made
        assert await ids(witness, 1) == [made]
        await nothing_comes(witness)
    async with client(gateway) as socket:
        assert await applied(socket, "notification", title, "again") == made


async def test_a_number_and_its_digits_are_two_ids(gateway: Gateway) -> None:
    async with client(gateway) as socket:
        number = await applied(socket, "notification", {"title": "x"}, 1)
        digits = await applied(socket, "notification", {"title": "x"}, "1")
        assert number != digits
        assert await applied(socket, "notification", {"title": "x"}, 1) == number
        assert await applied(socket, "notification", {"title": "x"}, "1") == digits


async def test_the_same_id_by_two_sockets_at_once(gateway: Gateway) -> None:
    async with client(gateway) as one, client(gateway) as two, client(gateway) as witness:

        async def every(socket: Any) -> list[str]:
            for n in range(50):
                await send(socket, "notification", {"title": str(n)}, id=f"race {n}")
            return [
                (await answer(socket, f"race {n}"))["payload"]["result"]["id"] for n in range(50)
            ]

        results = await asyncio.gather(every(one), every(two))
        assert results[0] == results[1]
        assert await ids(witness, 50) == results[0]
        await nothing_comes(witness)


async def test_killed_between_the_log_and_the_ack(start_gateway: Callable[..., Gateway]) -> None:
    """A client that sends everything again until it is acknowledged applies everything once."""
    gateway = start_gateway()
    names = [str(n) for n in range(300)]
    results: dict[str, str] = {}
    kills = 0
    while len(results) < len(names):
        async with client(gateway) as socket:
            pending = [name for name in names if name not in results]
            for name in pending:
                await send(socket, "activity", ACTIVITY | {"target": name}, id=name)
            with contextlib.suppress(ConnectionClosed):
                for count in range(1, len(pending) + 1):
                    payload = (await receive(socket))["payload"]
                    results[payload["id"]] = payload["result"]["id"]
                    if count == 50 and len(pending) > 100:
                        # It is at work on the next ones.
                        gateway.kill()
                        kills += 1
        if len(pending) > 100:
            gateway.start()
    assert kills > 1
    with stream(gateway, "?lastEventId=0") as response:
        source = events(response)
        published = [next(source) for _ in names]
    targets = {event.json()["target"]: event.id for event in published}
    assert targets == results
    assert [event.id for event in published] == sorted(targets.values(), key=int)
    assert gateway.get("api/activities").json()[0]["id"] == published[-1].id


async def test_after_a_restart_the_result_is_still_known(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    async with client(gateway) as socket:
        made = await applied(socket, "notification", {"title": "x"}, "r")
        gateway.kill()
    gateway.start()
    async with client(gateway) as socket:
        assert await applied(socket, "notification", {"title": "x"}, "r") == made


async def test_a_log_that_fails_ends_the_connection_and_applies_nothing(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    with contextlib.closing(sqlite3.connect(gateway.data_dir / "events.db")) as database:
        database.execute("ALTER TABLE applied RENAME TO elsewhere")
        async with client(gateway) as socket:
            await send(socket, "notification", {"title": "x"}, id="f")
            await send(socket, "notification", {"title": "behind it"})
            assert await closed(socket) == (1013, "the event log is out of order")
        database.execute("ALTER TABLE elsewhere RENAME TO applied")
    async with client(gateway) as socket:
        await send(socket, "resume", {"after": "0"}, id="resume")
        assert (await receive(socket))["type"] == "ack"
        assert await applied(socket, "notification", {"title": "x"}, "f")
    assert "Traceback" not in gateway.stderr


class TestRate:
    async def test_past_the_rate_frames_wait_and_none_is_refused(
        self, start_gateway: Callable[..., Gateway]
    ) -> None:
        gateway = start_gateway(RATE_LIMIT="50", RATE_BURST="10")
        async with client(gateway) as socket:
            started = asyncio.get_running_loop().time()
            for n in range(60):
                await send(socket, "notification", {"title": str(n)}, id=n)
            for n in range(60):
                assert (await answer(socket, n))["type"] == "ack"
            assert asyncio.get_running_loop().time() - started >= 0.95

    async def test_the_budget_is_that_of_posts(self, start_gateway: Callable[..., Gateway]) -> None:
        gateway = start_gateway(RATE_LIMIT="0.01", RATE_BURST="2")
        async with client(gateway) as socket:
            await send(socket, "ping")
            await send(socket, "ping")
            assert (await receive(socket))["type"] == "pong"
            assert (await receive(socket))["type"] == "pong"
            assert gateway.post("api/notifications", json={"title": "x"}).status_code == 429

    async def test_a_client_that_is_held_back_still_gets_events_and_can_be_closed(
        self, start_gateway: Callable[..., Gateway]
    ) -> None:
        gateway = start_gateway(RATE_LIMIT="0.01", RATE_BURST="2")
        async with client(gateway) as held, client(gateway) as other:
            await send(other, "notification", {"title": "x"}, id=1)
            made = (await answer(other, 1))["payload"]["result"]["id"]
            await send(held, "ping")
            await send(held, "notification", {"title": "never"}, id=2)
            frames = [await receive(held), await receive(held)]
            assert {frame["type"] for frame in frames} == {"pong", "notification"}
            assert made in [frame.get("id") for frame in frames]
            assert await asyncio.to_thread(gateway.stop) < 5
            assert await closed(held) == (1012, "restarting")

    async def test_tcp_holds_a_flood_back(self, start_gateway: Callable[..., Gateway]) -> None:
        gateway = start_gateway(RATE_LIMIT="0.01", RATE_BURST="1")
        frame = json.dumps({"type": "ping", "payload": "x" * 500_000})
        sent = 0
        async with client(gateway) as socket:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while sent < 200:
                        await socket.send(frame)
                        sent += 1
            # 100 MB were on offer; the gateway took what the sockets hold.
            assert 0 < sent < 100
            assert gateway.health()["websockets"] == 1
            socket.transport.abort()
