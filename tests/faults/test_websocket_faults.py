"""Notifications both ways over one WebSocket, while it is cut and the gateway is killed."""

from __future__ import annotations

import asyncio
from typing import Any

from services.websocket_client import WebSocketClient
from tests.faults.load import Publisher, kill_points, killing, log_of, until
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import random_schedule
from tests.support.gateway import Gateway
from tests.support.socket_platform import socket_platform

DOWN = 10_000
UP = 10_000
CUTS = 50
KILLS = 5

#: Requests that wait for their answers at once.
WINDOW = 300


async def send_numbered(client: WebSocketClient, count: int) -> list[tuple[str, Any]]:
    """Send `count` numbered notifications, half as requests; return their titles and results."""
    answers: list[tuple[str, asyncio.Task[Any]]] = []
    for n in range(count):
        title = f"up {n}"
        if n % 2:
            client.send("notification", {"title": title}, reliable=True)
        else:
            request = client.request("notification", {"title": title}, timeout=60)
            answers.append((title, asyncio.create_task(request)))
            await asyncio.sleep(0)  # so that it is sent before the next one
        if n % 50 == 49:
            await client.drain()
        if len(answers) > WINDOW:
            await answers[-WINDOW][1]
    await until(lambda: client.stats.queued + client.stats.unacknowledged == 0, deadline=60)
    return [(title, await answer) for title, answer in answers]


def test_none_is_lost_none_comes_twice_all_in_order(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    handled: list[str] = []
    read: list[str] = []
    events: list[tuple[str, Any]] = []

    async def main() -> list[tuple[str, Any]]:
        async with socket_platform(proxy.url, seed=seed) as platform:
            client = WebSocketClient(
                "ws",
                reconnect_interval=0.01,
                reconnect_interval_max=0.2,
                heartbeat_interval=0.5,
                heartbeat_timeout=0.5,
                connect_timeout=2,
                max_reconnect_attempts=None,
                queue_limit=4000,
                platform=platform,
            )
            client.on("*", lambda message: handled.append(message["id"]))
            for name in ("error", "reset", "reconnect-failed"):
                client.on(name, lambda payload, name=name: events.append((name, payload)))

            async def read_messages() -> None:
                async for message in client.messages("notification"):
                    read.append(message["id"])  # noqa: PERF401 - one at a time is the point

            reading = asyncio.create_task(read_messages())
            await client.connect()
            # Only now does the client know where the log stands.
            await until(lambda: client._protocol.session.history.last is not None)
            bodies = ({"title": f"down {n}"} for n in range(DOWN))
            with (
                Publisher(gateway, "/api/notifications", bodies) as publisher,
                killing(
                    gateway,
                    lambda: len(publisher.created),
                    kill_points(seed, KILLS, among=DOWN),
                ) as killed,
            ):
                faults = proxy.run(random_schedule(seed, CUTS, messages=DOWN + UP))
                results = await send_numbered(client, UP)
                await until(lambda: publisher.is_done and faults.done(), deadline=60)
                faults.result()
            assert len(killed) == KILLS
            assert len(proxy.applied) == CUTS
            log = log_of(gateway.data_dir, "notification")
            await until(lambda: handled and handled[-1] == log[-1][0])
            client.disconnect()
            await reading
            assert set(publisher.created) <= {event_id for event_id, _ in log}
        return results

    results = asyncio.run(main())
    log = log_of(gateway.data_dir, "notification")
    ids = [event_id for event_id, _ in log]
    assert handled == ids
    assert read == ids
    assert [event for event in events if event[0] != "error"] == []
    assert {payload["error"].partition(":")[0] for _, payload in events} <= {"connection failed"}
    down = [payload["title"] for _, payload in log if payload["title"].startswith("down")]
    assert list(dict.fromkeys(down)) == [f"down {n}" for n in range(DOWN)]
    up = {payload["title"]: event_id for event_id, payload in log if payload["title"][:2] == "up"}
    sent = [payload["title"] for _, payload in log if payload["title"][:2] == "up"]
    assert sent == [f"up {n}" for n in range(UP)]
    assert results == [(f"up {n}", {"id": up[f"up {n}"]}) for n in range(0, UP, 2)]


MIXED = 3_000


def test_what_is_not_reliable_arrives_at_most_once(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    """One third is reliable, and arrives; one third is plain, one volatile, which may be lost.

    Each connection keeps the order. Over several, only what is reliable does: a gateway may read
    what is left of an old connection after it has read from the new one.
    """
    connections = 0

    async def main() -> None:
        nonlocal connections
        async with socket_platform(proxy.url, seed=seed) as platform:
            client = WebSocketClient(
                "ws",
                reconnect_interval=0.01,
                reconnect_interval_max=0.05,
                heartbeat_interval=0.5,
                heartbeat_timeout=0.5,
                max_reconnect_attempts=None,
                platform=platform,
            )
            client.on("connected", count_connection)
            await client.connect()
            faults = proxy.run(random_schedule(seed, 20, messages=MIXED // 2))
            for n in range(MIXED):
                options = ({"reliable": True}, {}, {"volatile": True})[n % 3]
                # What is queued goes out by the next connection.
                carrier = connections if client.is_connected else connections + 1
                payload = {"title": f"{n}", "message": f"{carrier}"}
                client.send("notification", payload, **options)
                if n % 10 == 9:
                    await client.drain()
                    await asyncio.sleep(0.002)
            await until(lambda: client.stats.queued + client.stats.unacknowledged == 0)
            await until(faults.done)
            faults.result()
            client.disconnect()

    def count_connection(payload: object) -> None:
        nonlocal connections
        connections += 1

    asyncio.run(main())
    payloads = [payload for _, payload in log_of(gateway.data_dir, "notification")]
    numbers = [int(payload["title"]) for payload in payloads]
    assert len(numbers) == len(set(numbers))
    assert [n for n in numbers if n % 3 == 0] == list(range(0, MIXED, 3))
    carried: dict[str, list[int]] = {}
    for number, payload in zip(numbers, payloads, strict=True):
        if number % 3:
            carried.setdefault(payload["message"], []).append(number)
    assert all(group == sorted(group) for group in carried.values())
    assert len(carried) > 1
    # Most of the others came too.
    assert len(numbers) > MIXED * 0.6
