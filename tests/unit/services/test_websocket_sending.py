"""What a WebSocketClient promises to whom sends."""

from __future__ import annotations

import asyncio

import pytest

from services.errors import Disconnected, InvalidFrame, QueueFull
from tests.support.fake_platform import settle
from tests.unit.services.test_websocket_client import client_of, opened

pytestmark = pytest.mark.anyio


def payloads(platform):
    return [
        frame["payload"]
        for frame in platform.socket.frames
        if frame["type"] not in ("auth", "resume", "ping")
    ]


async def reconnected(platform):
    platform.socket.drop()
    platform.advance(4)
    platform.socket.accept()


# Volatile


async def test_a_volatile_message_goes_out_now_or_never(platform):
    client, _ = client_of(platform)
    client.send("a", "before", volatile=True)
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.accept()
    await connecting
    client.send("a", "open", volatile=True)
    platform.socket.drop()
    client.send("a", "away", volatile=True)
    platform.advance(1)
    assert payloads(platform) == []
    assert client.stats.dropped == 2
    with pytest.raises(InvalidFrame):
        client.send("a", {1}, volatile=True)
    with pytest.raises(ValueError, match="volatile or reliable, came both"):
        client.send("a", 1, volatile=True, reliable=True)


async def test_a_volatile_message_does_not_overtake(platform):
    client, _ = await opened(platform, high_water=10)
    platform.socket.buffered = 1000
    client.send("a", "a long message that fills it")
    client.send("a", "queued")
    client.send("a", "volatile", volatile=True)
    platform.socket.buffered = 0
    platform.advance(0.05)
    assert payloads(platform) == ["a long message that fills it", "queued"]


# Reliable


async def test_a_reliable_message_is_sent_until_it_is_acknowledged(platform):
    client, events = await opened(platform)
    client.send("a", 1, reliable=True)
    client.send("a", 2, reliable=True)
    client.send("a", "plain")
    first = platform.socket.frames[-3]
    platform.socket.deliver("ack", {"id": first["id"]})
    await reconnected(platform)
    assert payloads(platform) == [2]
    assert platform.socket.frames[-1]["id"] != first["id"]
    platform.socket.deliver("ack", {"id": platform.socket.frames[-1]["id"]})
    await reconnected(platform)
    assert payloads(platform) == []
    assert [name for name, _ in events if name == "error"] == []


async def test_a_reliable_message_that_is_rejected_is_told(platform):
    client, events = await opened(platform)
    client.send("a", 1, reliable=True)
    platform.socket.deliver(
        "nack", {"id": platform.socket.frames[-1]["id"], "error": "title missing"}
    )
    assert events == [("error", {"error": "rejected: title missing"})]
    assert client.stats.unacknowledged == 0


@pytest.mark.parametrize("code", [1000, 4401, 4403])
async def test_a_reliable_message_outlives_a_final_close(platform, code):
    client, _ = await opened(platform)
    client.send("a", 1, reliable=True)
    client.send("a", 2)
    platform.socket.drop(code)
    client.send("a", 3, reliable=True)
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.accept()
    await connecting
    assert payloads(platform) == [1, 3]


# The queue


async def test_what_was_queued_is_what_was_meant_at_the_time(platform):
    client, _ = client_of(platform)
    payload = {"n": 1}
    client.send("a", payload)
    payload["n"] = 2
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.accept()
    await connecting
    assert payloads(platform) == [{"n": 1}]


@pytest.mark.parametrize(("policy", "kept"), [("drop-oldest", [2, 3]), ("drop-newest", [1, 2])])
async def test_a_full_queue_drops_as_asked(platform, policy, kept):
    client, _ = client_of(platform, queue_limit=2, queue_policy=policy)
    for n in (1, 2, 3):
        client.send("a", n)
    connecting = asyncio.create_task(client.connect())
    await settle()
    platform.socket.accept()
    await connecting
    assert payloads(platform) == kept
    assert client.stats.dropped == 1


# Back-pressure


async def test_drain_waits_while_the_socket_holds_too_much(platform):
    client, _ = await opened(platform, high_water=100)
    await client.drain()
    platform.socket.buffered = 200
    client.send("a", "x" * 100)
    client.send("a", "second")
    draining = asyncio.create_task(client.drain())
    platform.advance(0.2)
    await settle()
    assert not draining.done()
    assert client.stats.queued == 1
    platform.socket.buffered = 10
    platform.advance(0.05)
    await asyncio.wait_for(draining, 1)
    assert payloads(platform)[-1] == "second"


async def test_drain_waits_as_soon_as_the_mark_is_passed(platform):
    client, _ = await opened(platform, high_water=100)
    platform.socket.buffered = 200
    client.send("a", "x" * 100)
    draining = asyncio.create_task(client.drain())
    platform.advance(0.2)
    await settle()
    assert client.stats.queued == 0
    assert not draining.done()
    platform.socket.buffered = 0
    platform.advance(0.05)
    await asyncio.wait_for(draining, 1)
    platform.socket.buffered = 200
    client.send("a", "x" * 100)
    client.disconnect()
    await asyncio.wait_for(client.drain(), 1)


async def test_a_sender_that_drains_never_fills_the_queue(platform):
    client, _ = await opened(platform, queue_limit=4)

    async def send_all():
        for n in range(20):
            client.send("a", n, reliable=True)
            await client.drain()

    sending = asyncio.create_task(send_all())
    acknowledged = 0
    while not sending.done():
        await settle()
        frames = [frame for frame in platform.socket.frames if frame["type"] == "a"]
        assert len(frames) - acknowledged <= 3
        platform.socket.deliver("ack", {"id": frames[acknowledged]["id"]})
        acknowledged += 1
    await sending
    assert payloads(platform) == list(range(20))


async def test_drain_waits_for_a_connection_and_ends_with_it(platform):
    client, _ = client_of(platform)
    await client.drain()
    client.send("a", 1)
    draining = asyncio.create_task(client.drain())
    await settle()
    assert not draining.done()
    client.disconnect()
    with pytest.raises(Disconnected):
        await draining


# What can be seen from outside


async def test_stats(platform):
    client, _ = await opened(platform)
    client.send("a", 1)
    client.send("a", 2, reliable=True)
    client.ping()
    platform.advance(0.25)
    platform.socket.deliver("pong")
    platform.socket.deliver("b", 1)
    platform.socket.buffered = 7
    stats = client.stats
    assert (stats.state, stats.sent, stats.received) == ("open", 2, 1)
    assert (stats.queued, stats.unacknowledged, stats.buffered) == (0, 1, 7)
    assert stats.round_trip == 0.25
    platform.socket.drop(1012, "restarting")
    client.send("a", 3)
    stats = client.stats
    assert (stats.last_close, stats.attempts, stats.queued) == ((1012, "restarting"), 1, 1)


# Being left and coming back


async def test_a_page_in_the_back_forward_cache_lets_go_and_resumes(platform):
    client, events = await opened(platform)
    platform.socket.deliver("a", 1, id="7")
    platform.fire("left", True)
    assert platform.socket.closed_with == (1000, "the page was left")
    assert (client.state, platform.timers) == ("waiting", 0)
    client.send("a", "meanwhile")
    platform.fire("returned")
    platform.socket.accept()
    assert platform.socket.frames[0]["payload"] == {"after": "7"}
    assert payloads(platform) == ["meanwhile"]
    assert [name for name, _ in events] == ["disconnected", "connected"]


async def test_a_page_that_comes_back_does_not_end_a_pause(platform):
    client, _ = await opened(platform)
    client.pause("by hand")
    platform.fire("left", True)
    platform.fire("returned")
    assert client.is_paused
    assert (client.state, platform.open_sockets) == ("waiting", 0)
    client.unpause()
    assert client.state == "connecting"
    platform.fire("left", True)
    client.pause("by hand")
    client.unpause()
    assert client.state == "waiting"
    platform.fire("returned")
    assert client.state == "connecting"


async def test_what_changed_while_nobody_listened_is_not_held_against_a_client(platform):
    client, _ = await opened(platform)
    for event, details in (("left", [True]), ("offline", []), ("hidden", [])):
        platform.fire(event, *details)
        client.disconnect()
        platform.is_visible = True
        connecting = asyncio.create_task(client.connect())
        await settle()
        platform.socket.accept()
        await connecting
        platform.socket.drop()
        platform.advance(4)
        platform.socket.accept()
        assert client.is_connected


async def test_a_pause_with_a_long_reason_closes_the_socket(platform):
    client, _ = await opened(platform)
    client.pause("é" * 100)
    assert platform.socket.closed_with == (1000, "é" * 61)


async def test_a_round_trip_can_be_measured_without_heartbeats(platform):
    client, _ = await opened(platform, heartbeat_interval=None)
    platform.fire("visible")
    assert platform.socket.types == ["resume"]
    client.ping()
    platform.socket.deliver("pong")
    assert client.stats.round_trip == 0


async def test_a_cancelled_request_makes_room_for_who_drains(platform):
    client, _ = await opened(platform, queue_limit=1)
    asking = asyncio.create_task(client.request("a", 1, timeout=1000))
    await settle()
    draining = asyncio.create_task(client.drain())
    await settle()
    asking.cancel()
    await asyncio.wait_for(draining, 1)


async def test_half_a_surrogate_pair_is_refused(platform):
    client, _ = client_of(platform)
    with pytest.raises(InvalidFrame, match="surrogates"):
        client.send("a", "\ud83d")


async def test_a_page_that_is_gone_for_good_changes_nothing(platform):
    client, _ = await opened(platform)
    platform.fire("left", False)
    assert client.is_connected


async def test_pause_and_unpause(platform):
    client, _ = await opened(platform)
    client.pause("simulated")
    platform.advance(1000)
    assert client.last_close == (1000, "simulated")
    assert platform.open_sockets == 0
    client.unpause()
    platform.socket.accept()
    assert client.is_connected


# As a context


async def test_async_with_connects_and_disconnects(platform):
    client, _ = client_of(platform)

    async def use():
        async with client.connect() as entered:
            assert entered is client
            assert client.is_connected
            raise LookupError

    using = asyncio.create_task(use())
    await settle()
    platform.socket.accept()
    with pytest.raises(LookupError):
        await using
    assert platform.socket.closed_with == (1000, "Client disconnect")


async def test_async_with_leaves_nothing_where_it_fails(platform):
    client, _ = client_of(platform)

    async def use():
        async with client.connect():
            raise AssertionError("never entered")

    using = asyncio.create_task(use())
    await settle()
    platform.socket.drop()
    with pytest.raises(ConnectionError):
        await using
    assert (client.state, platform.timers, platform.watchers) == ("closed", 0, 0)


# Where to connect to


async def test_a_url_provider_is_asked_at_each_attempt(platform):
    urls = iter(["./one", "./two?ticket=secret"])

    async def provider():
        return next(urls)

    client, events = client_of(platform, url=provider)
    connecting = asyncio.create_task(client.connect())
    await settle()
    assert client.state == "connecting"
    assert platform.socket.url == "wss://page.example/app/one"
    platform.socket.drop()
    with pytest.raises(ConnectionError):
        await connecting
    platform.advance(1)
    await settle()
    assert platform.socket.url == "wss://page.example/app/two?ticket=secret"
    platform.socket.drop()
    platform.advance(2)
    await settle()
    assert events[-1] == ("error", {"error": "url provider: StopIteration"}) or events[-1] == (
        "error",
        {"error": "url provider: RuntimeError"},
    )
    assert client.state == "waiting"
    client.disconnect()


@pytest.mark.parametrize("url", [7, None, b"./ws"])
async def test_a_url_of_another_kind_counts_as_a_failed_attempt(platform, url):
    client, events = client_of(platform, url=lambda: url)
    connecting = asyncio.create_task(client.connect())
    with pytest.raises(ConnectionError, match="url provider: ConfigurationError"):
        await connecting
    assert events == [("error", {"error": "url provider: ConfigurationError"})]
    client.disconnect()


# Reloading


async def test_a_reloaded_page_resumes_if_asked_to(platform):
    await opened(platform, resume_after_reload=True)
    platform.socket.deliver("a", 1, id="7")
    await opened(platform, resume_after_reload=True)
    assert platform.socket.frames[0]["payload"] == {"after": "7"}
    await opened(platform)
    assert platform.socket.frames[0]["payload"] == {"after": None}


@pytest.mark.parametrize("rubbish", ["{", "[1]", "true", "", "1e999", "[" * 100_000])
async def test_rubbish_in_the_storage_is_no_position(platform, rubbish):
    platform.storage["realtime:last-id:wss://page.example/app/ws"] = rubbish
    await opened(platform, resume_after_reload=True)
    assert platform.socket.frames[0]["payload"] == {"after": None}


async def test_a_full_queue_still_raises_by_default(platform):
    client, _ = client_of(platform, queue_limit=0)
    with pytest.raises(QueueFull, match="at most 0"):
        client.send("a", 1)
