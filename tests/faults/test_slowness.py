"""Slow readers, and networks on which everything takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient
from tests.faults.load import until
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import Direction
from tests.support.gateway import Gateway
from tests.support.socket_platform import socket_platform


def websocket_client(platform, **options) -> WebSocketClient:
    defaults = {"reconnect_interval": 0.01, "reconnect_interval_max": 0.02}
    return WebSocketClient("ws", platform=platform, **defaults | options)


def test_a_slow_websocket_is_let_go_and_resumes(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(CLIENT_QUEUE="20")

    async def main(proxy: FaultProxy) -> None:
        async with socket_platform(proxy.url) as platform:
            client, got, lost = websocket_client(platform), [], []
            client.on("notification", lambda payload: got.append(payload["id"]))
            client.on("disconnected", lambda payload: lost.append(payload["code"]))
            async with client.connect():
                made = [gateway.post_notification()]
                await until(lambda: got == made)
                proxy.hold(Direction.TO_CLIENT)
                while gateway.health()["websockets"] == 1:
                    made.append(gateway.post_notification(message="x" * 100_000))
                assert len(got) < len(made) - 20
                proxy.release()
                await until(lambda: len(got) >= len(made))
                assert got == made
                assert lost == [1013]

    with FaultProxy(gateway.port) as proxy:
        asyncio.run(main(proxy))


def test_a_slow_event_stream_is_let_go_and_resumes(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(CLIENT_QUEUE="20")

    async def main(proxy: FaultProxy) -> None:
        async with socket_platform(proxy.url) as platform:
            client = SSEClient("api/events", reconnect_interval=0.01, platform=platform)
            got, lost = [], []
            client.on("activity", lambda payload: got.append(payload["id"]))
            client.on("disconnected", lost.append)
            client.connect()
            await until(lambda: client.is_connected)
            made = [gateway.post_activity()]
            await until(lambda: got == made)
            proxy.hold(Direction.TO_CLIENT)
            while gateway.health()["event_streams"] == 1:
                made.append(gateway.post_activity(target="x" * 100_000))
            assert len(got) < len(made) - 20
            proxy.release()
            await until(lambda: len(got) >= len(made))
            assert got == made
            assert len(lost) == 1
            assert "too slow" in gateway.stderr
            client.disconnect()

    with FaultProxy(gateway.port) as proxy:
        asyncio.run(main(proxy))


#: Seconds each way: a satellite's, or those of a mobile network that is full.
LATENCY = 0.4


def test_a_long_way_to_the_gateway_keeps_the_order(gateway: Gateway, proxy: FaultProxy) -> None:
    """The `resume` comes late, and new events must not be shown before those that it asks for."""

    async def main() -> None:
        async with socket_platform(proxy.url) as platform:
            client, got = websocket_client(platform), []
            client.on("notification", lambda payload: got.append(payload["id"]))
            async with client.connect():
                made = [gateway.post_notification()]
                await until(lambda: got == made)
                proxy.delay(LATENCY)
                proxy.cut()
                end = platform.now() + 6 * LATENCY
                while platform.now() < end:
                    made.append(await asyncio.to_thread(gateway.post_notification))
                    await asyncio.sleep(0.02)
                await until(lambda: len(got) >= len(made))
                assert got == made

    asyncio.run(main())


def test_cut_before_its_resume_has_arrived_a_client_loses_nothing(
    gateway: Gateway, proxy: FaultProxy
) -> None:
    """New events that overtook the `resume` must not stand for those that it asks for."""

    async def main() -> None:
        async with socket_platform(proxy.url) as platform:
            client, got = websocket_client(platform), []
            client.on("notification", lambda payload: got.append(payload["id"]))
            async with client.connect():
                made = [gateway.post_notification()]
                await until(lambda: got == made)
                proxy.delay(2 * LATENCY, direction=Direction.TO_GATEWAY)
                proxy.cut()
                await until(lambda: not client.is_connected)
                made += [gateway.post_notification() for _ in range(10)]
                await until(lambda: client.is_connected)
                # Its `resume` is on the way for 0.8 s.
                end = platform.now() + 2 * LATENCY
                while platform.now() < end and len(got) == 1:
                    made.append(await asyncio.to_thread(gateway.post_notification))
                    await asyncio.sleep(0.01)
                proxy.cut()
                proxy.delay(0)
                await until(lambda: len(got) >= len(made), deadline=5)
                assert got == made

    asyncio.run(main())
