"""A connection that looks alive and carries nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient
from tests.faults.load import until
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import Direction
from tests.support.gateway import Gateway
from tests.support.socket_platform import SocketPlatform, socket_platform

#: Seconds.
HEARTBEAT_INTERVAL = 0.4
HEARTBEAT_TIMEOUT = 0.3
STALL_TIMEOUT = 0.6

#: Seconds by which this machine may be late.
SLACK = 0.5


def websocket_client(platform: SocketPlatform) -> WebSocketClient:
    return WebSocketClient(
        "ws",
        reconnect_interval=0.01,
        reconnect_interval_max=0.02,
        heartbeat_interval=HEARTBEAT_INTERVAL,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        connect_timeout=1,
        max_reconnect_attempts=None,
        platform=platform,
    )


@pytest.mark.parametrize("direction", [Direction.TO_CLIENT, Direction.TO_GATEWAY, Direction.BOTH])
def test_a_websocket_notices_by_its_heartbeat_and_resumes(
    gateway: Gateway, proxy: FaultProxy, direction: Direction
) -> None:
    async def main() -> None:
        async with socket_platform(proxy.url) as platform:
            client, got, lost = websocket_client(platform), [], []
            client.on("notification", lambda payload: got.append(payload["id"]))
            client.on("disconnected", lambda payload: lost.append((platform.now(), payload)))
            async with client.connect():
                made = [gateway.post_notification()]
                await until(lambda: got == made)
                assert proxy.half_open(direction) == 1
                since = platform.now()
                if Direction.TO_CLIENT in direction:
                    made += [gateway.post_notification() for _ in range(20)]
                await until(lambda: lost)
                took, reason = lost[0][0] - since, lost[0][1]
                assert reason == {"code": 4000, "reason": "heartbeat timeout"}
                assert took <= HEARTBEAT_INTERVAL + HEARTBEAT_TIMEOUT + SLACK
                made += [gateway.post_notification() for _ in range(20)]
                await until(lambda: len(got) >= len(made))
                assert got == made

    asyncio.run(main())


def test_a_websocket_notices_that_only_its_own_frames_vanish(
    gateway: Gateway, proxy: FaultProxy
) -> None:
    """Though events keep coming: without an answer to its pings, nothing it sends arrives."""

    async def main() -> None:
        async with socket_platform(proxy.url) as platform:
            client, got, lost = websocket_client(platform), [], []
            client.on("notification", lambda payload: got.append(payload["id"]))
            client.on("disconnected", lambda _: lost.append(platform.now()))
            async with client.connect():
                client.ping()
                await until(lambda: client.stats.round_trip is not None)
                proxy.half_open(Direction.TO_GATEWAY)
                since, made = platform.now(), []
                while not lost and platform.now() < since + 5:
                    made.append(await asyncio.to_thread(gateway.post_notification))
                    await asyncio.sleep(0.05)
                assert lost, "it has not noticed in 5 s"
                # A ping may have been answered just before, and events may excuse a late answer.
                assert lost[0] - since <= 2 * (HEARTBEAT_INTERVAL + HEARTBEAT_TIMEOUT) + SLACK
                await until(lambda: len(got) >= len(made))
                assert got == made

    asyncio.run(main())


@pytest.mark.parametrize("direction", [Direction.TO_CLIENT, Direction.BOTH])
def test_an_event_stream_notices_by_the_silence_and_resumes(
    start_gateway: Callable[..., Gateway], direction: Direction
) -> None:
    gateway = start_gateway(SSE_COMMENT_INTERVAL="0.1")

    async def main(proxy: FaultProxy) -> None:
        async with socket_platform(proxy.url) as platform:
            client = SSEClient(
                "api/events",
                reconnect_interval=0.01,
                reconnect_interval_max=0.02,
                stall_timeout=STALL_TIMEOUT,
                platform=platform,
            )
            got, lost = [], []
            client.on("activity", lambda payload: got.append(payload["id"]))
            client.on("disconnected", lambda _: lost.append(platform.now()))
            client.connect()
            await until(lambda: client.is_connected)
            made = [gateway.post_activity()]
            await until(lambda: got == made)
            await asyncio.sleep(2 * STALL_TIMEOUT)
            assert lost == []  # comments are a sign of life
            assert proxy.half_open(direction) == 1
            since = platform.now()
            made += [gateway.post_activity() for _ in range(20)]
            await until(lambda: lost)
            assert lost[0] - since <= STALL_TIMEOUT + SLACK
            await until(lambda: len(got) >= len(made))
            assert got == made
            client.disconnect()

    with FaultProxy(gateway.port) as proxy:
        asyncio.run(main(proxy))


def test_attempts_that_nobody_answers_are_given_up(gateway: Gateway, proxy: FaultProxy) -> None:
    async def main() -> None:
        async with socket_platform(proxy.url) as platform:
            client = websocket_client(platform)
            stream = SSEClient("api/events", stall_timeout=1, platform=platform)
            proxy.half_open(new=True)
            errors = []
            for one in (client, stream):
                one.on("error", lambda payload, one=one: errors.append((one, payload["error"])))
            with pytest.raises(TimeoutError):
                await client.connect()
            stream.connect()
            await until(lambda: {one for one, _ in errors} == {client, stream})
            proxy.accept()
            await until(lambda: client.is_connected and stream.is_connected)
            client.disconnect()
            stream.disconnect()

    asyncio.run(main())
