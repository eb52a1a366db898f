from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.clock import now
from tests.support.gateway import Gateway

JSON = {"Content-Type": "application/json"}
PATHS = ("api/notifications", "api/activities")


def error(gateway: Gateway, path: str, content: bytes | str) -> dict[str, str]:
    response = gateway.post(path, content=content, headers=JSON)
    assert response.status_code == 422, response.text
    fault: dict[str, str] = response.json()["error"]
    return fault


def test_health(gateway: Gateway) -> None:
    expected = {"status": "ok", "websockets": 0, "event_streams": 0, "documents": 0}
    assert gateway.health() == expected


def test_ids_increase_over_both_routes(gateway: Gateway) -> None:
    ids = [gateway.post_notification(), gateway.post_activity(), gateway.post_notification()]
    assert [int(i) for i in ids] == list(range(int(ids[0]), int(ids[0]) + 3))


def test_activities_newest_first(gateway: Gateway) -> None:
    before = now()
    ids = [gateway.post_activity(target=str(n), userId="7") for n in range(25)]
    listed = gateway.get("api/activities").json()
    assert [item["id"] for item in listed] == ids[:4:-1]
    assert before <= listed[0].pop("timestamp") <= now()
    assert listed[0] == {
        "id": ids[-1],
        "userId": "7",
        "userName": "Ada",
        "action": "edited",
        "target": "24",
    }
    assert len(gateway.get("api/activities", params={"limit": 3}).json()) == 3


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", ""])
def test_a_limit_out_of_range(gateway: Gateway, limit: str) -> None:
    response = gateway.get("api/activities", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["error"]["field"] == "limit"


def test_the_given_timestamp_is_kept(gateway: Gateway) -> None:
    future = now() + 10**10
    gateway.post_activity(timestamp=future)
    assert gateway.get("api/activities").json()[0]["timestamp"] == future


def test_a_title_of_100_kb(gateway: Gateway) -> None:
    gateway.post_notification("é" * 50_000)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"\x00",
        b'{"title":NaN}',
        b'{"title":"a","timestamp":Infinity}',
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b'{"timestamp":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object(gateway: Gateway, path: str, content: bytes) -> None:
    assert error(gateway, path, content)["field"] == "body"


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        ("api/notifications", "{}", "title"),
        ("api/notifications", '{"title":5}', "title"),
        ("api/notifications", '{"title":"  "}', "title"),
        ("api/notifications", r'{"title":"\ud800"}', "title"),
        ("api/notifications", '{"title":"a","message":null}', "message"),
        ("api/notifications", '{"title":"a","type":"fatal"}', "type"),
        ("api/notifications", '{"title":"a","timestamp":1e400}', "timestamp"),
        ("api/notifications", '{"title":"a","timestamp":-1}', "timestamp"),
        ("api/notifications", '{"title":"a","timestamp":1' + "0" * 400 + "}", "timestamp"),
        ("api/activities", "{}", "userName"),
        ("api/activities", '{"userName":"a","target":"b"}', "action"),
        ("api/activities", '{"userName":"a","action":"b"}', "target"),
        ("api/activities", '{"userName":"a","action":"b","target":"c","userId":1}', "userId"),
    ],
)
def test_the_field_at_fault(gateway: Gateway, path: str, content: str, field: str) -> None:
    fault = error(gateway, path, content)
    assert fault["field"] == field
    assert fault.keys() == {"message", "field", "expected", "got"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: (
        st.lists(values)
        | st.dictionaries(st.sampled_from(["title", "type", "timestamp", "userName"]), values)
    ),
    max_leaves=8,
)


@given(st.sampled_from(PATHS), json_values)
@settings(deadline=None)
def test_any_json_value_is_created_or_refused(gateway: Gateway, path: str, value: Any) -> None:
    response = gateway.post(path, content=json.dumps(value), headers=JSON)
    assert response.status_code in (201, 422)


@given(st.sampled_from(PATHS), st.binary())
@settings(deadline=None)
def test_any_bytes_are_created_or_refused(gateway: Gateway, path: str, content: bytes) -> None:
    assert gateway.post(path, content=content, headers=JSON).status_code in (201, 422)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_past_the_limit(gateway: Gateway, path: str) -> None:
    body = json.dumps({"title": "x" * 300_000})
    response = gateway.post(path, content=body, headers=JSON)
    assert response.status_code == 413
    assert "262144" in response.json()["error"]["message"]


def test_a_body_past_the_limit_that_does_not_say_its_length(gateway: Gateway) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield b" " * 65536

    response = gateway.post("api/notifications", content=chunks(), headers=JSON)
    assert response.status_code == 413


def test_a_body_past_the_limit_is_refused_before_it_has_all_come(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/notifications HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
        )
        connection.sendall(b" " * 300_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_leaves_in_the_middle_of_its_body(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/notifications HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
    assert gateway.health()["status"] == "ok"
    assert "Traceback" not in gateway.stderr


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""],
)
def test_a_body_that_does_not_say_it_is_json(gateway: Gateway, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = gateway.post("api/notifications", content=b'{"title":"a"}', headers=headers)
    assert response.status_code == 415


def test_a_content_type_with_a_charset(gateway: Gateway) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    response = gateway.post("api/notifications", content=b'{"title":"a"}', headers=headers)
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "api/notifications", "POST"),
        ("DELETE", "api/activities", "GET, HEAD, POST"),
        ("POST", "api/events", "GET, HEAD"),
        ("POST", "api/datasets", "GET, HEAD"),
        ("DELETE", "api/datasets/trades", "GET, HEAD"),
        ("POST", "api/datasets/trades/events", "GET, HEAD"),
        ("POST", "healthz", "GET, HEAD"),
        ("POST", "", "GET, HEAD"),
    ],
)
def test_methods(gateway: Gateway, method: str, path: str, allow: str) -> None:
    response = gateway.request(method, path)
    assert response.status_code == 405
    assert sorted(response.headers["allow"].split(", ")) == allow.split(", ")


@pytest.mark.parametrize(
    "path",
    [
        "api/",
        "api/nothing",
        "api/notifications/",
        "api/events/1",
        "api/datasets/",
        "api/datasets/trades/",
        "api/datasets/trades/1",
    ],
)
def test_unknown_paths(gateway: Gateway, path: str) -> None:
    response = gateway.get(path)
    assert response.status_code == 404
    assert response.json() == {"error": {"message": "Not Found"}}


@pytest.mark.parametrize("path", PATHS)
def test_pages_from_elsewhere_may_not_post(gateway: Gateway, path: str) -> None:
    headers = {"Origin": "https://evil.example"}
    assert gateway.post(path, json={"title": "a"}, headers=headers).status_code == 403


def test_the_gateways_own_page_may_post(gateway: Gateway) -> None:
    headers = {"Origin": gateway.url.rstrip("/")}
    response = gateway.post("api/notifications", json={"title": "a"}, headers=headers)
    assert response.status_code == 201
    assert "access-control-allow-origin" not in response.headers


def test_listed_origins_may_post_and_read(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ALLOWED_ORIGINS="https://app.example")
    for origin, status, allowed in (
        ("https://app.example", 201, "https://app.example"),
        ("https://evil.example", 403, None),
    ):
        headers = {"Origin": origin}
        response = gateway.post("api/notifications", json={"title": "a"}, headers=headers)
        assert response.status_code == status
        assert response.headers.get("access-control-allow-origin") == allowed
        preflight = gateway.request(
            "OPTIONS",
            "api/notifications",
            headers=headers
            | {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,last-event-id",
            },
        )
        assert preflight.status_code == (200 if allowed else 400)
        assert preflight.headers.get("access-control-allow-origin") == allowed


def test_past_the_rate(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(RATE_LIMIT="0.01", RATE_BURST="2")
    gateway.post_notification()
    gateway.post_activity()
    response = gateway.post("api/notifications", json={"title": "a"})
    assert response.status_code == 429
    assert 90 < int(response.headers["retry-after"]) <= 100
    assert gateway.get("api/activities").status_code == 200


def test_a_log_that_fails(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    with closing(sqlite3.connect(gateway.data_dir / "events.db")) as database:
        database.execute("DROP TABLE events")
    response = gateway.post("api/notifications", json={"title": "a"})
    assert response.status_code == 503
    assert "Traceback" not in gateway.stderr
