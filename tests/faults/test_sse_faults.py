"""Activities over one event stream, while it is cut and the gateway is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from services.sse_client import SSEClient
from tests.faults.load import Publisher, kill_points, killing, log_of, until
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import Direction, random_schedule
from tests.support.gateway import Gateway
from tests.support.socket_platform import socket_platform

COUNT = 10_000
CUTS = 50
KILLS = 5


def test_none_is_lost_none_comes_twice_all_in_order(
    start_gateway: Callable[..., Gateway], seed: int
) -> None:
    handled: list[str] = []
    events: list[tuple[str, Any]] = []
    gateway = start_gateway(SSE_COMMENT_INTERVAL="0.2")

    async def main(proxy: FaultProxy) -> None:
        async with socket_platform(proxy.url, seed=seed) as platform:
            client = SSEClient(
                "api/events",
                reconnect_interval=0.01,
                reconnect_interval_max=0.2,
                stall_timeout=1,
                platform=platform,
            )
            client.on("activity", lambda payload: handled.append(payload["id"]))
            for name in ("error", "reset"):
                client.on(name, lambda payload, name=name: events.append((name, payload)))
            client.connect()
            await until(lambda: client.is_connected)
            bodies = ({"userName": "Ada", "action": "did", "target": f"{n}"} for n in range(COUNT))
            with (
                Publisher(gateway, "/api/activities", bodies) as publisher,
                killing(
                    gateway,
                    lambda: len(publisher.created),
                    kill_points(seed, KILLS, among=COUNT),
                ) as killed,
            ):
                schedule = random_schedule(
                    seed, CUTS, messages=COUNT * 9 // 10, ways=Direction.TO_CLIENT
                )
                faults = proxy.run(schedule)
                await until(lambda: publisher.is_done and faults.done(), deadline=60)
                faults.result()
            assert len(killed) == KILLS
            assert len(proxy.applied) == CUTS
            log = log_of(gateway.data_dir, "activity")
            await until(lambda: handled and handled[-1] == log[-1][0])
            client.disconnect()
            assert client.last_event_id == log[-1][0]
            assert set(publisher.created) <= {event_id for event_id, _ in log}

    with FaultProxy(gateway.port, seed=seed) as proxy:
        asyncio.run(main(proxy))
    log = log_of(gateway.data_dir, "activity")
    assert handled == [event_id for event_id, _ in log]
    assert [event for event in events if event[0] != "error"] == []
    # What got no answer was published again, so it may be there twice, one after the other.
    assert list(dict.fromkeys(payload["target"] for _, payload in log)) == [
        f"{n}" for n in range(COUNT)
    ]
