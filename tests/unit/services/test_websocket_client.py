from __future__ import annotations

import asyncio
import json
import random

import pytest

from services.errors import (
    ConfigurationError,
    ConnectionFailed,
    ConnectTimeout,
    Disconnected,
    InvalidFrame,
    QueueFull,
    RequestRejected,
    RequestTimeout,
)
from services.websocket_client import WebSocketClient
from tests.support.fake_platform import FakePlatform, settle

pytestmark = pytest.mark.anyio


def client_of(platform, url="./ws", **options):
    client = WebSocketClient(url, platform=platform, **options)
    events = []
    for name in ("connected", "disconnected", "error", "reconnect-failed", "reset"):
        client.on(name, lambda payload, name=name: events.append((name, payload)))
    return client, events


async def opened(platform, **options):
    client, events = client_of(platform, **options)
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.accept()
    await connecting
    events.clear()
    return client, events


def names(events):
    return [name for name, _ in events]


# Connecting


async def test_connect_resolves_the_url_and_returns_once_open(platform):
    client, events = client_of(platform)
    connecting = asyncio.create_task(client.connect())
    await settle()
    assert platform.socket.url == "wss://page.example/app/ws"
    assert (client.state, client.is_connected) == ("connecting", False)
    platform.socket.accept()
    await connecting
    assert (client.state, client.is_connected) == ("open", True)
    assert events == [("connected", {})]


async def test_everyone_who_connects_shares_one_attempt(platform):
    client, _ = client_of(platform)
    tasks = [asyncio.create_task(client.connect()) for _ in range(5)]
    await settle()
    assert len(platform.sockets) == 1
    tasks[0].cancel()
    await settle()
    platform.socket.accept()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [None] * 4
    await client.connect()
    assert len(platform.sockets) == 1


async def test_a_failed_first_attempt_tells_the_waiters_and_goes_on(platform):
    client, events = client_of(platform)
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.drop(1006)
    with pytest.raises(ConnectionFailed) as caught:
        await connecting
    assert caught.value.code == 1006
    assert names(events) == ["error"]
    assert client.state == "waiting"
    platform.advance(1)
    assert len(platform.sockets) == 2
    platform.socket.accept()
    assert names(events) == ["error", "connected"]


async def test_connect_times_out_and_leaves_no_socket(platform):
    client, _ = client_of(platform, connect_timeout=3)
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.advance(3)
    with pytest.raises(ConnectTimeout):
        await connecting
    assert platform.open_sockets == 0
    assert client.state == "waiting"


async def test_disconnect_during_connect_is_clean(platform):
    client, events = client_of(platform)
    connecting = asyncio.create_task(client.connect())
    await settle()
    client.disconnect()
    with pytest.raises(Disconnected):
        await connecting
    assert (platform.open_sockets, platform.timers, platform.watchers) == (0, 0, 0)
    # A browser may have queued the event before the close.
    platform.socket.accept()
    platform.socket.drop(1000)
    platform.advance(100)
    assert events == []
    assert client.state == "closed"


async def test_a_browser_that_refuses_the_socket_at_once_is_a_failed_attempt(platform):
    platform.refuse_sockets = True
    client, _ = client_of(platform)
    with pytest.raises(ConnectionFailed, match="mixed content"):
        await client.connect()
    assert client.state == "waiting"
    client.disconnect()


async def test_disconnect_closes_with_1000_and_connect_starts_again(platform):
    client, events = await opened(platform)
    client.disconnect()
    assert platform.socket.closed_with == (1000, "Client disconnect")
    assert events == [("disconnected", {"code": 1000, "reason": "Client disconnect"})]
    assert client.last_close == (1000, "Client disconnect")
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.accept()
    await connecting
    assert names(events) == ["disconnected", "connected"]


# Messages


async def test_handlers_get_payloads_and_star_gets_whole_messages(platform):
    client, _ = await opened(platform)
    got, whole = [], []
    client.on("notification", got.append)
    unsubscribe = client.on("*", whole.append)
    platform.socket.deliver("notification", {"title": "é"}, id="7")
    unsubscribe()
    unsubscribe()
    platform.socket.deliver("notification", 2)
    assert got == [{"title": "é"}, 2]
    assert whole == [{"type": "notification", "payload": {"title": "é"}, "timestamp": 1, "id": "7"}]


async def test_control_frames_reach_nobody(platform):
    client, events = await opened(platform)
    whole = []
    client.on("*", whole.append)
    for type_ in ("pong", "auth-ok"):
        platform.socket.deliver(type_, {})
    platform.socket.deliver("ack", {"id": "unknown"})
    platform.socket.deliver("nack", {"id": "unknown"})
    platform.socket.deliver("reset", {"reason": "too old"})
    assert whole == []
    assert events == [("reset", {"reason": "too old"})]


@pytest.mark.parametrize("type_", ["connected", "disconnected", "error", "reconnect-failed", "*"])
async def test_a_server_cannot_forge_lifecycle_events(platform, type_):
    client, events = await opened(platform)
    whole = []
    client.on("*", whole.append)
    platform.socket.deliver(type_, {"forged": True})
    assert names(events) == ["error"]
    assert "forged" not in str(events)
    assert whole == []


@pytest.mark.parametrize(
    "frame",
    [
        *(b"\x00", "", "{", "[]", "1", "null", "{}", '{"type": 1}', '{"type": "ack"}'),
        *('{"type": "a", "payload": NaN}', '{"type": "a", "id": []}'),
        *("[" * 100_000, "x" * 5_000_000),
    ],
    ids=lambda frame: repr(frame[:12]),
)
async def test_an_invalid_frame_is_reported_once_and_skipped(platform, frame):
    client, events = await opened(platform)
    got = []
    client.on("*", got.append)
    platform.socket.deliver_raw(frame)
    platform.socket.deliver("fine", 1)
    assert names(events) == ["error"]
    assert len(events[0][1]["error"]) < 300
    assert [message["type"] for message in got] == ["fine"]
    assert platform.reported == []
    assert client.is_connected


async def test_ten_thousand_junk_frames_raise_nothing(platform):
    client, events = await opened(platform)
    rng = random.Random(13)
    valid = json.dumps({"type": "notification", "payload": {"a": [1, None]}, "timestamp": 1})
    alphabet = [*'{}[]",:0123456789.eE+- \\u', "type", "id", "null", "true", "NaN", "é", "\ud800"]
    for n in range(10_000):
        match n % 4:
            case 0:
                frame = "".join(rng.choices(alphabet, k=rng.randrange(40)))
            case 1:
                at = rng.randrange(len(valid))
                frame = valid[:at] + rng.choice(alphabet) + valid[at + rng.randrange(3) :]
            case 2:
                frame = rng.randbytes(rng.randrange(20))
            case _:
                type_ = rng.choice(["ack", "nack", "reset", "pong", "*", "a", "", None, 3, []])
                frame = json.dumps(
                    {"type": type_, "payload": rng.choice([None, {}, [], "x", {"id": []}])}
                )
        platform.socket.deliver_raw(frame)
    assert client.is_connected
    assert platform.reported == []
    assert {name for name, _ in events} <= {"error", "reset"}


async def test_a_failing_handler_stops_no_other_and_is_reported_once(platform):
    client, _ = await opened(platform)
    got = []

    def fails(payload):
        raise RuntimeError("mine")

    client.on("a", fails)
    client.on("a", got.append)
    platform.socket.deliver("a", 1)
    assert got == [1]
    assert [str(error) for error in platform.reported] == ["mine"]


async def test_a_handler_may_disconnect(platform):
    client, events = await opened(platform)
    client.on("bye", lambda _: client.disconnect())
    platform.socket.deliver("bye")
    assert platform.open_sockets == 0
    assert names(events) == ["disconnected"]
    assert platform.reported == []


# Order, acknowledgements, resuming


async def test_the_order_after_open_is_auth_resume_unacknowledged_queued_new(platform):
    client, _ = await opened(platform, token=lambda: "secret")
    request = asyncio.create_task(client.request("unacknowledged", 1, timeout=60))
    await settle()
    platform.socket.deliver("notification", 1, id="41")
    platform.socket.drop(1012)
    client.send("queued", 2)
    client.on("connected", lambda _: client.send("new", 3))
    platform.advance(1)
    await settle()
    platform.socket.accept()
    frames = platform.socket.frames
    assert [frame["type"] for frame in frames] == [
        "auth",
        "resume",
        "unacknowledged",
        "queued",
        "new",
    ]
    assert frames[0]["payload"] == {"token": "secret"}
    assert frames[1]["payload"] == {"after": "41"}
    platform.socket.deliver("ack", {"id": frames[2]["id"], "result": "done"})
    assert await request == "done"
    platform.socket.drop(1012)
    platform.advance(2)
    await settle()
    platform.socket.accept()
    assert platform.socket.types == ["auth", "resume", "new"]


async def test_a_duplicate_id_is_dropped(platform):
    client, _ = await opened(platform)
    got = []
    client.on("n", got.append)
    for id_ in ("a", "b", "a", 1, 1, "1"):
        platform.socket.deliver("n", id_, id=id_)
    assert got == ["a", "b", 1, "1"]


async def test_a_reset_forgets_what_was_seen(platform):
    client, _ = await opened(platform)
    got = []
    client.on("n", got.append)
    platform.socket.deliver("n", 1, id="9")
    platform.socket.deliver("reset", {"reason": "another log", "after": "3"})
    platform.socket.drop(1006)
    platform.advance(1)
    platform.socket.accept()
    assert platform.socket.frames[0]["payload"] == {"after": "3"}
    platform.socket.deliver("n", 2, id="9")
    assert got == [1, 2]


async def test_the_answer_to_resume_says_where_the_log_stands(platform):
    client, _ = await opened(platform)
    resume = platform.socket.frames[0]
    assert resume["payload"] == {"after": None}
    platform.socket.deliver("ack", {"id": resume["id"], "result": {"after": "17"}})
    platform.socket.drop(1006)
    platform.advance(1)
    platform.socket.accept()
    assert platform.socket.frames[0]["payload"] == {"after": "17"}
    assert platform.socket.frames[0]["id"] != resume["id"]
    client.disconnect()


async def test_a_resume_is_announced_to_a_server_that_knows_what_that_means(platform):
    client, _ = await opened(platform, url="./ws?room=1")
    resume = platform.socket.frames[0]
    result = {"after": "40", "hold": True}
    platform.socket.deliver("ack", {"id": resume["id"], "result": result})
    platform.socket.drop()
    platform.advance(1)
    assert platform.socket.url == "wss://page.example/app/ws?room=1&resume=1"
    platform.socket.accept()
    assert platform.socket.frames[0]["payload"] == {"after": "40"}
    client.disconnect()


async def test_a_resume_is_not_announced_to_any_other_server(platform):
    client, _ = await opened(platform)
    resume = platform.socket.frames[0]
    platform.socket.deliver("ack", {"id": resume["id"], "result": {"after": "40", "hold": 1}})
    platform.socket.drop()
    platform.advance(1)
    assert platform.socket.url == "wss://page.example/app/ws"
    client.disconnect()


async def test_requests_end_in_every_way(platform):
    client, _ = await opened(platform)
    rejected = asyncio.create_task(client.request("a", 1))
    late = asyncio.create_task(client.request("b", 1, timeout=2))
    cut_off = asyncio.create_task(client.request("c", 1, timeout=60))
    await settle()
    platform.socket.deliver("nack", {"id": platform.socket.frames[1]["id"], "error": "no"})
    with pytest.raises(RequestRejected, match="no"):
        await rejected
    platform.advance(2)
    with pytest.raises(RequestTimeout):
        await late
    client.disconnect()
    with pytest.raises(Disconnected):
        await cut_off


async def test_a_cancelled_request_is_not_sent_again(platform):
    client, _ = await opened(platform)
    request = asyncio.create_task(client.request("a", 1))
    await settle()
    request.cancel()
    await settle()
    platform.socket.drop(1006)
    platform.advance(1)
    platform.socket.accept()
    assert platform.socket.types == ["resume"]


async def test_sends_queue_up_to_the_limit(platform):
    client, _ = client_of(platform, queue_limit=2)
    client.send("a", 1)
    client.send("b", 2)
    with pytest.raises(QueueFull):
        client.send("c", 3)
    with pytest.raises(QueueFull):
        await client.request("d", 4)
    asyncio.get_running_loop().call_soon(lambda: platform.socket.accept())
    await client.connect()
    assert platform.socket.types == ["resume", "a", "b"]


@pytest.mark.parametrize(("type_", "payload"), [("", 1), (None, 1), ("a", {1, 2}), ("a", 1e999)])
async def test_what_cannot_be_a_message_is_refused_at_once(platform, type_, payload):
    client, _ = client_of(platform)
    with pytest.raises(InvalidFrame):
        client.send(type_, payload)


# Tokens


async def test_4401_asks_once_for_a_fresh_token(platform):
    tokens = iter(["old", "new", "newer"])

    async def provide():
        return next(tokens)

    client, events = await opened(platform, token=provide)
    platform.socket.drop(4401, "expired")
    await settle()
    platform.socket.accept()
    assert platform.socket.frames[0]["payload"] == {"token": "new"}
    platform.socket.drop(4401, "expired")
    await settle()
    assert client.state == "refused"
    assert platform.open_sockets == 0
    assert names(events) == ["disconnected", "connected", "disconnected"]
    assert platform.timers == 0


async def test_a_failing_provider_is_a_failed_attempt_and_tells_no_secret(platform):
    def provide():
        raise LookupError("token eyJhbGciOi")

    client, events = client_of(platform, token=provide)
    with pytest.raises(ConnectionFailed) as caught:
        await client.connect()
    assert "LookupError" in str(caught.value)
    assert "eyJ" not in str(caught.value) + str(events) + repr(client)
    assert platform.sockets == []
    assert client.state == "waiting"


async def test_a_provider_that_hangs_is_a_timeout(platform):
    client, _ = client_of(platform, token=lambda: asyncio.Event().wait())
    connecting = asyncio.create_task(client.connect())
    await settle()
    assert client.state == "authorizing"
    platform.advance(10)
    with pytest.raises(ConnectTimeout):
        await connecting
    client.disconnect()


async def test_a_token_that_comes_after_disconnect_opens_nothing(platform):
    release = asyncio.Event()

    async def provide():
        await release.wait()
        return "late"

    client, _ = client_of(platform, token=provide)
    connecting = asyncio.create_task(client.connect())
    await settle()
    client.disconnect()
    release.set()
    with pytest.raises(Disconnected):
        await connecting
    await settle()
    assert platform.sockets == []


# messages()


async def test_messages_survive_reconnections_and_end_at_disconnect(platform):
    client, _ = await opened(platform)
    got = []

    async def read():
        async for message in client.messages("a", "b"):
            got.append(message["payload"])  # noqa: PERF401 - one at a time is the point

    reading = asyncio.create_task(read())
    await settle()
    platform.socket.deliver("a", 1)
    platform.socket.deliver("other", 2)
    platform.socket.drop(1012)
    platform.advance(1)
    platform.socket.accept()
    platform.socket.deliver("b", 3)
    await settle()
    client.disconnect()
    await reading
    assert got == [1, 3]


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop-oldest", [3, 4, 5]), ("drop-newest", [0, 1, 2])]
)
async def test_a_slow_reader_loses_some_and_hears_of_it_once(platform, overflow, kept):
    client, events = await opened(platform)
    stream = client.messages(limit=3, overflow=overflow)
    for n in range(6):
        platform.socket.deliver("n", n)
    assert names(events) == ["error"]
    assert stream.dropped == 3
    assert [(await anext(stream))["payload"] for _ in range(3)] == kept


async def test_a_slow_reader_may_rather_end(platform):
    client, events = await opened(platform)
    stream = client.messages(limit=2, overflow="raise")
    for n in range(6):
        platform.socket.deliver("n", n)
    assert [(await anext(stream))["payload"] for _ in range(2)] == [0, 1]
    with pytest.raises(QueueFull, match="at most 2"):
        await anext(stream)
    client.disconnect()
    with pytest.raises(QueueFull):
        await anext(stream)
    assert names(events) == ["disconnected"]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": "9"}, {"overflow": "drop"}])
async def test_wrong_options_of_messages(platform, wrong):
    client, _ = client_of(platform)
    with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))}: expected"):
        client.messages(**wrong)


async def test_messages_raise_when_the_server_refuses_the_client(platform):
    client, _ = await opened(platform)
    stream = client.messages()
    platform.socket.drop(4403, "banned")
    with pytest.raises(Disconnected, match="4403 banned"):
        await anext(stream)


async def test_a_forgotten_stream_costs_nothing(platform):
    client, events = await opened(platform, queue_limit=1)
    client.messages()
    for n in range(5):
        platform.socket.deliver("n", n)
    assert events == []


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"reconnect_interval": 0},
        {"reconnect_interval": 40},
        {"heartbeat_interval": "30"},
        {"heartbeat_timeout": float("nan")},
        {"connect_timeout": True},
        {"max_reconnect_attempts": -1},
        {"queue_limit": 1.5},
        {"token": 7},
        {"token": "two words"},
    ],
)
def test_wrong_options_say_what_was_expected_and_what_came(options):
    with pytest.raises(ConfigurationError, match=r"expected .*came ") as caught:
        WebSocketClient("./ws", platform=FakePlatform(), **options)
    assert "two words" not in str(caught.value)


def test_a_url_of_another_kind_is_refused():
    for url in ("ftp://x/", 7):
        with pytest.raises(ConfigurationError):
            WebSocketClient(url, platform=FakePlatform())


def test_without_a_browser_a_platform_is_needed():
    with pytest.raises(ConfigurationError, match="platform"):
        WebSocketClient("./ws")
