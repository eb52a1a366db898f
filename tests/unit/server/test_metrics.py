from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.metrics import Metrics
from tests.support.gateway import Gateway
from tests.unit.server.sockets import answer, applied, client, closed, nothing_comes, receive, send
from tests.unit.server.test_event_stream import events, stream

pytestmark = pytest.mark.anyio


def metrics(gateway: Gateway) -> dict[str, float]:
    """Return every sample by its name and its label, if any: `name{value}`."""
    response = gateway.get("metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_what_is_counted(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret")
    missed = gateway.post_notification()
    async with client(gateway) as socket:
        with stream(gateway, "?lastEventId=1") as response:
            source = events(response)
            assert next(source).event == "reset"
            gateway.wait_for_clients(websockets=1, event_streams=1)
            await send(socket, "resume", {"after": str(int(missed) - 1)})
            assert (await receive(socket))["id"] == missed
            await applied(socket, "notification", {"title": "x"}, 1)
            await applied(socket, "notification", {"title": "x"}, 1)
            await send(socket, "notification", {"title": ""}, id=2)
            assert (await answer(socket, 2))["type"] == "nack"
            for kind in ("x", "y" * 1000, "z"):
                await send(socket, kind)
            await nothing_comes(socket)
            open_now = metrics(gateway)
    async with client(gateway) as socket:
        await socket.send("x")
        assert (await closed(socket))[0] == 4400
    gateway.login("ada", "secret")
    gateway.post("api/login", json={"username": "ada", "password": "wrong"})
    gateway.post("api/refresh")
    gateway.wait_for_clients()
    after = metrics(gateway)
    expected_open = {
        "gateway_websockets": 1,
        "gateway_event_streams": 1,
        "gateway_frames_received_total{resume}": 1,
        "gateway_frames_received_total{notification}": 3,
        "gateway_frames_received_total{ping}": 1,
        "gateway_frames_received_total{other}": 3,
        "gateway_frames_sent_total{notification}": 2,
        "gateway_frames_sent_total{ack}": 2,
        "gateway_frames_sent_total{nack}": 1,
        "gateway_frames_sent_total{pong}": 1,
        "gateway_duplicate_frames_total": 1,
        "gateway_events_published_total{notification}": 2,
        "gateway_events_published_total{activity}": 0,
        "gateway_events_replayed_total{notification}": 1,
        "gateway_resets_total{unknown-id}": 1,
        "gateway_resets_total{expired}": 0,
        "gateway_publish_seconds_count": 2,
        "gateway_log_append_seconds_count": 2,
    }
    assert expected_open == {name: open_now.get(name) for name in expected_open}
    expected_after = {
        "gateway_websockets": 0,
        "gateway_event_streams": 0,
        "gateway_connections_total{websocket}": 2,
        "gateway_connections_total{event-stream}": 1,
        "gateway_websocket_closes_total{1000}": 1,
        "gateway_websocket_closes_total{4400}": 1,
        "gateway_websocket_closes_total{other}": 0,
        "gateway_logins_total{success}": 1,
        "gateway_logins_total{failure}": 1,
        "gateway_refreshes_total{success}": 1,
    }
    assert expected_after == {name: after.get(name) for name in expected_after}
    assert after["process_resident_memory_bytes"] > 0


async def test_what_is_refused(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(RATE_LIMIT="1", RATE_BURST="1", LOGIN_ATTEMPTS="1")
    async with client(gateway) as socket:
        await send(socket, "ping")
        await send(socket, "ping")
        assert (await receive(socket))["type"] == "pong"
        assert (await receive(socket))["type"] == "pong"
    assert gateway.post("api/notifications", json={"title": "x"}).status_code == 429
    counted = metrics(gateway)
    assert counted["gateway_rate_limited_total{frame}"] == 1
    assert counted["gateway_rate_limited_total{post}"] == 1


async def test_a_slow_client(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(CLIENT_QUEUE="5")
    async with client(gateway, max_queue=1) as socket:
        gateway.wait_for_clients(websockets=1)
        while gateway.health()["websockets"]:
            gateway.post_notification(message="x" * 200_000)
        assert (await closed(socket))[0] == 1013
    assert metrics(gateway)["gateway_slow_clients_total{websocket}"] == 1


async def test_codes_that_clients_make_up_make_no_series(gateway: Gateway) -> None:
    before = set(metrics(gateway))
    for code in (3000, 4999, 4123):
        async with client(gateway) as socket:
            await socket.close(code)
    gateway.wait_for_clients()
    after = metrics(gateway)
    assert set(after) == before
    assert after["gateway_websocket_closes_total{other}"] == 3


async def test_a_failed_append_is_not_published(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    with closing(sqlite3.connect(gateway.data_dir / "events.db")) as database:
        database.execute("DROP TABLE events")
    assert gateway.post("api/notifications", json={"title": "x"}).status_code == 503
    assert metrics(gateway)["gateway_events_published_total{notification}"] == 0


def test_two_gateways_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.duplicates.inc()
    assert one.duplicates is not other.duplicates
    assert other.duplicates._value.get() == 0
