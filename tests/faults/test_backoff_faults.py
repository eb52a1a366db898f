"""How often a server hears of clients that cannot reach it, and how a thousand come back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient
from tests.faults.load import until
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import How
from tests.support.gateway import Gateway
from tests.support.socket_platform import SocketPlatform, socket_platform

#: Seconds.
BASE, CAP = 0.05, 0.4

#: Each delay is this share of what the schedule allows.
SHARE = 0.5
DELAYS = [SHARE * min(CAP, BASE * 2**n) for n in range(8)]

#: Seconds by which this machine may be late.
SLACK = 0.3

FAULTS: dict[str, Callable[[FaultProxy], None]] = {
    "accepts and drops": lambda proxy: proxy.refuse(How.FIN),
    "accepts and resets": lambda proxy: proxy.refuse(How.RST),
    "drops after the handshake": lambda proxy: proxy.drop_streams(),
    "is down": lambda proxy: proxy.down(),
}


def client_of(kind: str, platform: SocketPlatform) -> WebSocketClient | SSEClient:
    options: dict[str, Any] = {"reconnect_interval": BASE, "reconnect_interval_max": CAP}
    if kind == "SSE":
        return SSEClient("api/events", platform=platform, **options)
    return WebSocketClient("ws", platform=platform, max_reconnect_attempts=None, **options)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["WebSocket", "SSE"])
def test_a_server_that_drops_everyone_is_not_hammered(
    proxy: FaultProxy, kind: str, fault: str
) -> None:
    async def main() -> None:
        async with socket_platform(proxy.url) as platform:
            platform.random = lambda: SHARE
            client = client_of(kind, platform)
            FAULTS[fault](proxy)
            if isinstance(client, SSEClient):
                client.connect()
            else:
                connecting = asyncio.create_task(client.connect())
                await asyncio.wait([connecting])
                connecting.exception()
            await until(lambda: len(platform.opens) > len(DELAYS))
            opens = platform.opens[: len(DELAYS) + 1]
            client.disconnect()
        gaps = [after - before for before, after in itertools.pairwise(opens)]
        for gap, delay in zip(gaps, DELAYS, strict=True):
            assert delay <= gap <= delay + SLACK, (gaps, DELAYS)
        if fault != "is down":
            # The server saw each, but for the last, which may have been on its way.
            assert 0 <= len(platform.opens) - len(proxy.attempts) <= 1

    asyncio.run(main())


CLIENTS = 1000

#: Seconds over which the first attempts of all are spread.
WINDOW = 3.0


class Returning:
    """One of a thousand: what it got, and when it came back."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self.platform = SocketPlatform(gateway.url, seed=seed)
        self.client = WebSocketClient(
            "ws", reconnect_interval=WINDOW, connect_timeout=30, platform=self.platform
        )
        self.got: list[str] = []
        self.lost_at: float | None = None
        self.timers_before = 0
        self.client.on("notification", lambda payload: self.got.append(payload["id"]))
        self.client.on("disconnected", self._lost)

    def _lost(self, payload: object) -> None:
        if self.lost_at is None:
            self.lost_at = self.platform.now()
            self.timers_before = len(self.platform.delays)

    @property
    def delay(self) -> float:
        """What it chose to wait before its first attempt: the first timer after the loss."""
        return self.platform.delays[self.timers_before]

    @property
    def waited(self) -> float:
        assert self.lost_at is not None
        return self.platform.opens[1] - self.lost_at


def test_a_thousand_clients_come_back_spread_over_the_jitter(gateway: Gateway, seed: int) -> None:
    everyone: list[Returning] = []

    async def main() -> None:
        for start in range(0, CLIENTS, 100):
            group = [Returning(gateway, seed + n) for n in range(start, start + 100)]
            await asyncio.gather(*(one.client.connect() for one in group))
            everyone.extend(group)
        await asyncio.to_thread(gateway.wait_for_clients, websockets=CLIENTS)
        made = [await asyncio.to_thread(gateway.post_notification)]
        await until(lambda: all(one.got == made for one in everyone))
        await asyncio.to_thread(gateway.stop)
        made.append(await asyncio.to_thread(restarted_with_an_event))
        await until(lambda: all(one.client.is_connected for one in everyone), deadline=60)
        made.append(await asyncio.to_thread(gateway.post_notification))
        await until(lambda: all(len(one.got) >= len(made) for one in everyone))
        assert all(one.got == made for one in everyone)
        await asyncio.to_thread(gateway.wait_for_clients, websockets=CLIENTS)
        for one in everyone:
            one.client.disconnect()
            assert one.platform.reported == []
        await asyncio.gather(*(one.platform.aclose() for one in everyone))

    def restarted_with_an_event() -> str:
        gateway.start()
        return gateway.post_notification()

    asyncio.run(main())
    tenths = [0] * 10
    for one in everyone:
        tenths[int(one.delay / WINDOW * 10)] += 1
        # A busy machine is late, never early.
        assert one.waited >= one.delay
    # Each tenth holds binomially many, 100 of 1000 on average. Fewer than 50 or more than 160 in
    # any of the ten has a probability below 1e-7.
    assert min(tenths) >= 50, tenths
    assert max(tenths) <= 160, tenths
