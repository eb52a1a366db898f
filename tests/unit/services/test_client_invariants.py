"""Both clients, whole, under any order of what a browser, a server and an application may do."""

from __future__ import annotations

import asyncio
import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import QueueFull, RealtimeError
from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient
from tests.support.fake_platform import FakePlatform

NETWORK = ["online", "offline", "visible", "hidden", "returned"]
SERVER = ["accept", "deliver", "deliver_raw", "drop"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["connect", "disconnect", "send", "advance", "sleep", *NETWORK, *SERVER]),
        st.integers(0, 9),
        st.floats(0, 40),
    ),
    max_size=60,
)
CODES = [1000, 1001, 1006, 1011, 1012, 1013, 4401, 4403, 4000, 1005]
STATUSES = [None, None, 200, 204, 401, 404, 429, 500, 503, None]


class Truth:
    """Checks that connected and disconnected take turns."""

    def __init__(self, client):
        self.connected = False
        client.on("connected", lambda _: self.turn(True))
        client.on("disconnected", lambda _: self.turn(False))

    def turn(self, connected):
        assert self.connected is not connected
        self.connected = connected


@settings(max_examples=250, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 2**32))
def test_websocket_client(steps, with_token, seed):
    async def scenario():
        platform = FakePlatform(seed)
        client = WebSocketClient(
            "./ws", platform=platform, queue_limit=5, token="t" if with_token else None
        )
        truth = Truth(client)
        waiting = []
        for step, choice, amount in steps:
            if step == "connect":
                waiting.append(asyncio.create_task(client.connect()))
            elif step == "send":
                with contextlib.suppress(QueueFull):
                    client.send("a", choice)
            else:
                act(platform, client, step, choice, amount)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert platform.open_sockets <= 1
            assert platform.timers <= 1
            assert truth.connected == client.is_connected
            assert platform.reported == []
        client.disconnect()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert all(
            task.exception() is None or isinstance(task.exception(), RealtimeError)
            for task in waiting
        )
        assert (platform.open_sockets, platform.timers, platform.watchers) == (0, 0, 0)

    asyncio.run(scenario())


@settings(max_examples=250, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 2**32))
def test_sse_client(steps, with_token, seed):
    async def scenario():
        platform = FakePlatform(seed)
        client = SSEClient("./e", platform=platform, token="t" if with_token else None)
        truth = Truth(client)
        for step, choice, amount in steps:
            if step == "connect":
                client.connect()
            else:
                act(platform, client, step, choice, amount)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert platform.open_streams <= 1
            assert platform.timers <= 1
            assert truth.connected == client.is_connected
            assert platform.reported == []
        client.disconnect()
        assert (platform.open_streams, platform.timers, platform.watchers) == (0, 0, 0)

    asyncio.run(scenario())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = ["a", "ack", "nack", "reset", "pong", "auth-ok", "connected", "error", "*", ""]
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS) | JSON,
        "payload": JSON | st.fixed_dictionaries({"id": JSON, "after": JSON}),
        "timestamp": JSON,
        "id": JSON,
    },
)
# As they come over the wire, and as those that crossed over together.
FRAMES = st.text() | st.binary() | OBJECTS | OBJECTS.map(json.dumps)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(FRAMES, min_size=10, max_size=10), min_size=5, max_size=5))
def test_ten_thousand_frames_of_any_kind_raise_nothing(batches):
    async def scenario():
        platform = FakePlatform()
        client = WebSocketClient("./ws", platform=platform)
        events = []
        for name in ("error", "reset", "disconnected"):
            client.on(name, lambda _, name=name: events.append(name))
        client.on("*", lambda message: message["id"])
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        platform.socket.accept()
        await connecting
        asking = asyncio.create_task(client.request("a", 1))
        await asyncio.sleep(0)
        for batch in batches:
            platform.socket.deliver_raw(*batch)
        assert client.is_connected
        assert platform.reported == []
        assert set(events) <= {"error", "reset"}
        client.disconnect()
        await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(asking.exception(), RealtimeError)

    asyncio.run(scenario())


def act(platform, client, step, choice, amount):
    if step == "disconnect":
        client.disconnect()
    elif step == "advance":
        platform.advance(amount)
    elif step == "sleep":
        platform.sleep(amount * 100, monotonic=choice % 2 == 0)
    elif step in NETWORK:
        platform.fire(step)
    elif step in SERVER:
        serve(platform, client, step, choice)


def serve(platform, client, step, choice):
    """Let a server act as a browser would tell of it; late news of a closed one may be anything."""
    ends = platform.sockets or platform.streams
    if not ends:
        return
    end = ends[-1 - choice % len(ends)]
    is_open = client.state == "open"
    if not end.gone and step != "drop" and is_open == (step == "accept"):
        return
    match step:
        case "accept":
            end.accept()
        case "deliver_raw" if platform.sockets:
            end.deliver_raw(["{", b"", "[]", '{"type":"*"}', '{"type":"ack"}'][choice % 5])
        case "deliver" | "deliver_raw":
            end.deliver(["message", "reset", "error", "a", "nack"][choice % 5], "1")
        case "drop" if not end.gone and platform.sockets:
            end.drop(CODES[choice])
        case "drop" if not end.gone:
            end.drop(None if is_open else STATUSES[choice])
