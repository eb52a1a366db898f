from __future__ import annotations

from collections.abc import Callable

import httpx
import jwt
import pytest

from tests.support.gateway import Gateway
from tests.unit.server.test_event_stream import events, stream

CLOSED = [
    ("GET", "api/events"),
    ("HEAD", "api/events"),
    ("GET", "api/activities"),
    ("POST", "api/activities"),
    ("POST", "api/notifications"),
    ("GET", "api/datasets"),
    ("GET", "api/datasets/trades"),
    ("GET", "api/datasets/nothing"),
    ("GET", "api/datasets/trades/events"),
    ("HEAD", "api/datasets/trades/events"),
    ("GET", "api/documents/1"),
    ("GET", "api/nothing"),
    ("DELETE", "api/login/"),
    ("GET", "api"),
    ("GET", "api/"),
    ("GET", "api//login"),
    ("GET", "api%2Factivities"),
    ("GET", "metrics"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_without_a_token_every_door_is_closed(locked: Gateway, method: str, path: str) -> None:
    response = locked.request(method, path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["cache-control"] == "no-store"
    if method != "HEAD":
        assert response.json() == {"error": {"message": "Expected an access token"}}


@pytest.mark.parametrize("path", ["", "index.html", "healthz", "services/__init__.py"])
def test_the_page_is_open(locked: Gateway, path: str) -> None:
    assert locked.get(path).status_code == 200


@pytest.mark.parametrize("path", ["server/app.py", "data/auth.db", "auth.secret", "//api/events"])
def test_and_nothing_beside_it(locked: Gateway, path: str) -> None:
    assert locked.get(path).status_code == 404


@pytest.mark.parametrize("end", ["%0A", "%0D", "%00", "%0A%0A", "%E2%80%A8"])
def test_a_path_with_a_control_character_leads_nowhere(locked: Gateway, end: str) -> None:
    for path in ("metrics", "api/activities", "healthz"):
        assert locked.get(path + end).status_code == 404


def test_with_a_token_they_open(locked: Gateway) -> None:
    locked.login("ada", "secret")
    made = [locked.post_activity(), locked.post_notification()]
    assert locked.get("api/activities").json()[0]["id"] == made[0]
    assert locked.get("api/nothing").status_code == 404
    assert locked.get("metrics").status_code == 200
    headers = {"Authorization": f"Bearer {locked.token}", "Last-Event-ID": made[0]}
    with stream(locked, **headers) as response:
        made.append(locked.post_activity())
        assert next(events(response)).id == made[-1]


BAD = ["x", "a.b.c", "x" * 10_000, "é", "metrics", '"', "a b", "eyJhbGciOiJub25lIn0.e30."]


@pytest.mark.parametrize("token", BAD)
@pytest.mark.parametrize("is_locked", [True, False])
def test_a_token_that_is_bad_opens_nothing(
    gateway: Gateway, locked: Gateway, is_locked: bool, token: str
) -> None:
    door = locked if is_locked else gateway
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
    for method, path in CLOSED[:-1]:
        response = door.request(method, path, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == (
            'Bearer error="invalid_token", error_description="token not valid"'
        )
    for path in ("", "healthz"):
        assert door.get(path, headers=headers).status_code == 200


def test_a_token_of_another_gateway(locked: Gateway, start_gateway: Callable[..., Gateway]) -> None:
    other = start_gateway(ACCOUNTS="ada:secret")
    locked.token = other.login("ada", "secret")
    assert locked.get("api/activities").status_code == 401


def test_a_secret_of_ones_own(start_gateway: Callable[..., Gateway]) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    gateway = start_gateway(ACCOUNTS="ada:secret", AUTH_SECRET=secret)
    token = gateway.login("ada", "secret")
    claims = jwt.decode(token, secret, ["HS256"], audience="realtime-gateway")
    assert claims["name"] == "ada"
    assert not (gateway.data_dir / "auth.secret").exists()
    assert gateway.get("api/activities").status_code == 200
    # A good signature is not enough: the session must be one.
    forged = jwt.encode(claims | {"sid": "x"}, secret, headers={"typ": "at+jwt"})
    gateway.token = forged
    assert gateway.get("api/activities").status_code == 401


@pytest.mark.parametrize("value", ["Basic YTpi", "Token x", "x", "bearer"])
def test_another_scheme_is_no_token(gateway: Gateway, locked: Gateway, value: str) -> None:
    headers = {"Authorization": value}
    assert locked.get("api/activities", headers=headers).status_code == 401
    expected = 401 if value == "bearer" else 200
    assert gateway.get("api/activities", headers=headers).status_code == expected


def test_a_scheme_in_small_letters(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    headers = {"Authorization": f"bearer {token}"}
    assert locked.get("api/activities", headers=headers).status_code == 200


def test_two_tokens_are_none(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    response = httpx.get(f"{locked.url}api/activities", headers=headers)
    assert response.status_code == 401


def test_a_token_in_the_url_is_none(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    locked.token = None
    assert locked.get(f"api/activities?access_token={token}").status_code == 401


def test_metrics_have_a_token_of_their_own(locked: Gateway) -> None:
    locked.token = "metrics"
    assert locked.get("metrics").status_code == 200
    assert locked.get("api/activities").status_code == 401
    locked.token = "Metrics"
    assert locked.get("metrics").status_code == 401


def test_metrics_with_a_token_are_closed_to_guests(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(METRICS_TOKEN="metrics")
    assert gateway.get("metrics").status_code == 401
    assert gateway.get("api/activities").status_code == 200


def test_a_stream_ends_when_its_token_expires(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", ACCESS_TOKEN_TTL="1")
    token = gateway.login("ada", "secret")
    with stream(gateway, Authorization=f"Bearer {token}") as response:
        gateway.token = None
        made = gateway.post_activity()
        assert [event.id for event in events(response)] == [made]
    gateway.token = token
    response = gateway.get("api/activities")
    assert response.status_code == 401
    assert "token expired" in response.headers["www-authenticate"]


def test_a_stream_ends_with_its_session(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    with stream(locked, Authorization=f"Bearer {token}") as response:
        locked.post("api/logout")
        assert list(events(response)) == []
    locked.wait_for_clients()
