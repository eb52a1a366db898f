from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent

from tests.support.gateway import DEADLINE, Gateway


@contextmanager
def stream(gateway: Gateway, query: str = "", **headers: str) -> Iterator[httpx.Response]:
    with (
        httpx.Client(timeout=DEADLINE) as http,
        http.stream("GET", gateway.events_url + query, headers=headers) as response,
    ):
        yield response


def events(response: httpx.Response) -> Iterator[ServerSentEvent]:
    return EventSource(response).iter_sse()


def ids(response: httpx.Response, count: int) -> list[str]:
    source = events(response)
    return [next(source).id for _ in range(count)]


def test_the_response_says_that_it_is_a_stream_at_once(gateway: Gateway) -> None:
    with stream(gateway) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        body = response.iter_bytes()
        assert next(body) == b": open\n\n"
        gateway.wait_for_clients(event_streams=1)
    gateway.wait_for_clients()


def test_without_an_id_a_client_learns_where_it_stands(gateway: Gateway) -> None:
    made = gateway.post_activity()
    with stream(gateway) as response:
        position = response.headers["last-event-id"]
    assert position == made
    later = gateway.post_activity()
    with stream(gateway, **{"Last-Event-ID": position}) as response:
        assert "last-event-id" not in response.headers
        assert ids(response, 1) == [later]


def test_an_activity_event(gateway: Gateway) -> None:
    with stream(gateway) as response:
        gateway.post_notification()
        target = "line\none\r\ntwo\u2028three 👩‍👩‍👧‍👦"
        made = gateway.post_activity(target=target, userId="7", timestamp=5)
        event = next(events(response))
    assert (event.event, event.id) == ("activity", made)
    assert event.json() == {
        "id": made,
        "userId": "7",
        "userName": "Ada",
        "action": "edited",
        "target": target,
        "timestamp": 5,
    }


def test_everyone_gets_the_same(gateway: Gateway) -> None:
    with stream(gateway) as one, stream(gateway) as two:
        made = [gateway.post_activity() for _ in range(10)]
        assert ids(one, 10) == ids(two, 10) == made


def test_resuming(gateway: Gateway) -> None:
    made = [gateway.post_activity() for _ in range(5)]
    for query, headers in (
        (f"?lastEventId={made[1]}", {}),
        ("", {"Last-Event-ID": made[1]}),
        ("?lastEventId=0", {"Last-Event-ID": made[1]}),
        (f"?lastEventId={made[1]}", {"Last-Event-ID": ""}),
    ):
        with stream(gateway, query, **headers) as response:
            made.append(gateway.post_activity())
            assert ids(response, len(made) - 2) == made[2:]


@pytest.mark.parametrize("bad", ["999999", "x", "-1", "1.5", "9" * 40, "%ff"])
def test_an_id_that_is_not_the_logs(gateway: Gateway, bad: str) -> None:
    position = gateway.post_activity()
    with stream(gateway, f"?lastEventId={bad}") as response:
        source = events(response)
        reset = next(source)
        assert (reset.event, reset.json()) == ("reset", {"reason": "unknown-id"})
        assert reset.id == position
        made = gateway.post_activity()
        assert next(source).id == made


def test_an_id_beyond_the_horizon(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(REPLAY_HORIZON="100")
    made = [gateway.post_activity() for _ in range(150)]
    with stream(gateway, f"?lastEventId={made[0]}") as response:
        reset = next(events(response))
        assert (reset.event, reset.json()) == ("reset", {"reason": "expired"})
        assert reset.id == made[-1]
    assert len(gateway.get("api/activities", params={"limit": 100}).json()) == 100


def test_a_comment_keeps_an_idle_stream_open(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(SSE_COMMENT_INTERVAL="0.05")
    with stream(gateway) as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(6)] == [": open", "", ": ", "", ": ", ""]


def test_a_client_that_stops_reading_is_let_go_and_the_others_notice_nothing(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(CLIENT_QUEUE="50")
    with stream(gateway) as slow, stream(gateway) as fast:
        live = events(fast)
        made: list[str] = []
        while gateway.health()["event_streams"] == 2:
            batch = [gateway.post_activity(target="x" * 100_000) for _ in range(10)]
            assert [next(live).id for _ in batch] == batch
            made += batch
        got = [event.id for event in events(slow)]
        assert 0 < len(got) < len(made)
        assert got == made[: len(got)]
        made.append(gateway.post_activity())
        assert next(live).id == made[-1]
    with stream(gateway, **{"Last-Event-ID": got[-1]}) as response:
        assert ids(response, len(made) - len(got)) == made[len(got) :]


def test_killed_while_it_sends_then_restarted(start_gateway: Callable[..., Gateway]) -> None:
    """Every id that was answered with 201 arrives, once and in order."""
    gateway = start_gateway()
    made: list[str] = []
    got: list[str] = []
    for _ in range(3):
        with stream(gateway, f"?lastEventId={got[-1] if got else 0}") as response:
            made += [gateway.post_activity() for _ in range(50)]
            got += ids(response, 20)
            gateway.kill()
        gateway.start()
    with stream(gateway, f"?lastEventId={got[-1]}") as response:
        got += ids(response, len(made) - len(got))
    assert got == made


def test_head_does_not_open_a_stream(gateway: Gateway) -> None:
    assert gateway.request("HEAD", "api/events").content == b""
    gateway.wait_for_clients()


def test_the_data_of_an_event_is_one_line(gateway: Gateway) -> None:
    with stream(gateway) as response:
        made = gateway.post_activity(target="a\nb")
        text = ""
        for chunk in response.iter_text():
            text += chunk
            if text.endswith("}\n\n"):
                break
    lines = text.removeprefix(": open\n\n").splitlines()
    assert lines[:2] == [f"id: {made}", "event: activity"]
    assert json.loads(lines[2].removeprefix("data: "))["target"] == "a\nb"
    assert lines[3:] == [""]
