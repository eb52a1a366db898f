from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.cookies import SimpleCookie
from typing import Any

import httpx
import jwt
import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from server.login import LoginAttempts
from tests.support.gateway import DEADLINE, Gateway
from tests.unit.server.sockets import authenticate, client, closed

ADA = {"username": "ada", "password": "secret"}
JSON = {"Content-Type": "application/json"}


def cookie(response: httpx.Response) -> dict[str, str]:
    """Return the refresh cookie that was set: its value, and its attributes."""
    assert len(response.headers.get_list("set-cookie")) == 1
    morsel = SimpleCookie(response.headers["set-cookie"])["refresh_token"]
    return {"value": morsel.value} | {k: v for k, v in morsel.items() if v}


def login(gateway: Gateway, **options: Any) -> httpx.Response:
    return gateway.post("api/login", json=ADA, **options)


def refresh(gateway: Gateway, token: str) -> httpx.Response:
    gateway.forget()
    return gateway.post("api/refresh", headers={"Cookie": f"refresh_token={token}"})


@pytest.fixture
def open_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(ACCOUNTS="ada:secret", LOGIN_ATTEMPTS="1000")


def test_a_login(locked: Gateway) -> None:
    response = login(locked)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body.keys() == {"accessToken", "expiresIn", "user"}
    assert body["expiresIn"] == 300
    claims = jwt.decode(body["accessToken"], options={"verify_signature": False})
    assert body["user"] == {"id": claims["sub"], "name": "ada"}
    assert claims["exp"] - claims["iat"] in (300, 301)
    assert cookie(response) == {
        "value": cookie(response)["value"],
        "httponly": True,
        "samesite": "strict",
        "path": "/api",
        "max-age": "2592000",
    }
    assert len(cookie(response)["value"]) == 43
    assert cookie(response)["value"] not in response.text
    locked.token = body["accessToken"]
    assert locked.get("api/activities").status_code == 200


def test_a_password_with_a_colon(locked: Gateway) -> None:
    locked.login("bob", "s3:cret")


@pytest.mark.parametrize(
    ("username", "password"),
    [("ada", "Secret"), ("ada", "secret "), ("Ada", "secret"), ("nobody", "secret"), ("a:b", "x")],
)
def test_a_wrong_name_or_password(open_gateway: Gateway, username: str, password: str) -> None:
    body = {"username": username, "password": password}
    response = open_gateway.post("api/login", json=body)
    assert response.status_code == 401
    assert response.json() == {"error": {"message": "Wrong name or password"}}
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["cache-control"] == "no-store"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "username"),
        ({"username": "ada"}, "password"),
        ({"username": 5, "password": "PA55"}, "username"),
        ({"username": "", "password": "PA55"}, "username"),
        ({"username": "PA55" * 30, "password": "PA55"}, "username"),
        ({"username": "PA55\ud800", "password": "PA55"}, "username"),
        ({"username": "ada", "password": ""}, "password"),
        ({"username": "ada", "password": 55}, "password"),
        ({"username": "ada", "password": ["PA55"]}, "password"),
        ({"username": "ada", "password": "PA55\ud800"}, "password"),
        ({"username": "ada", "password": "PA55" * 300}, "password"),
    ],
)
def test_the_field_at_fault_and_nothing_of_what_came(
    locked: Gateway, body: dict[str, Any], field: str
) -> None:
    response = locked.post("api/login", content=json.dumps(body), headers=JSON)
    assert response.status_code == 422
    assert response.json()["error"]["field"] == field
    assert "55" not in response.text
    assert response.headers["cache-control"] == "no-store"


def test_a_body_that_is_none(locked: Gateway) -> None:
    def status(**options: Any) -> int:
        return locked.post("api/login", **options).status_code

    assert status(content=b"{", headers=JSON) == 422
    assert status(content=b"[" * 100_000, headers=JSON) == 422
    assert status(content=b"x" * 300_000, headers=JSON) == 413
    assert status(content=b"username=ada&password=secret") == 415
    assert status(json=ADA, headers={"Origin": "https://evil.example"}) == 403


@pytest.mark.parametrize("path", ["api/login", "api/refresh", "api/logout"])
def test_methods(locked: Gateway, path: str) -> None:
    response = locked.get(path)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


@given(body=st.dictionaries(st.sampled_from(["username", "password"]), st.text(max_size=9)))
@settings(max_examples=30, deadline=None)
def test_any_text_is_refused(locked_gateway: Gateway, body: dict[str, str]) -> None:
    assert locked_gateway.post("api/login", json=body).status_code in (401, 422, 429)


def test_a_refresh_rotates_the_cookie(locked: Gateway) -> None:
    first = login(locked)
    again = locked.post("api/refresh")
    assert again.status_code == 200
    assert again.headers["cache-control"] == "no-store"
    assert again.json().keys() == {"accessToken", "expiresIn", "user"}
    assert again.json()["user"] == first.json()["user"]
    assert cookie(again) | {"value": ""} == cookie(first) | {"value": ""}
    assert cookie(again)["value"] != cookie(first)["value"]
    assert locked.post("api/refresh").status_code == 200


def test_a_bad_token_does_not_keep_anyone_from_a_better_one(locked: Gateway) -> None:
    login(locked)
    locked.token = "bad"
    assert locked.post("api/refresh").status_code == 200
    assert login(locked).status_code == 200
    assert locked.post("api/logout").status_code == 204


def test_without_a_cookie(locked: Gateway) -> None:
    response = locked.post("api/refresh")
    assert response.status_code == 401
    assert response.json()["error"]["message"] == "Expected the cookie of an open session"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "value",
    ["", "x", '"', "é", ";;;=", "x" * 5000, "a=b", "refresh_token", "\t", "%00", "\x80\xff"],
)
def test_a_cookie_that_nobody_gave(locked: Gateway, value: str) -> None:
    header = f"a=b; refresh_token={value}; other=1".encode("latin-1")
    response = locked.post("api/refresh", headers={"Cookie": header})
    assert response.status_code == 401
    assert cookie(response)["max-age"] == "0"


def test_a_cookie_among_others(locked: Gateway) -> None:
    token = cookie(login(locked))["value"]
    locked.forget()
    header = f'a="x; y"; xrefresh_token=1; refresh_token={token}; refresh_token=planted'
    assert locked.post("api/refresh", headers={"Cookie": header}).status_code == 200


@pytest.mark.anyio
async def test_a_refresh_token_that_comes_twice_ends_the_session(locked: Gateway) -> None:
    first = login(locked)
    second = locked.post("api/refresh")
    access = second.json()["accessToken"]
    async with client(locked) as socket:
        await authenticate(socket, access)
        response = refresh(locked, cookie(first)["value"])
        assert response.status_code == 401
        assert cookie(response)["max-age"] == "0"
        assert await closed(socket) == (4401, "session ended")
    assert refresh(locked, cookie(second)["value"]).status_code == 401
    locked.token = access
    assert locked.get("api/activities").status_code == 401


def test_of_many_refreshes_at_once_one_succeeds(open_gateway: Gateway) -> None:
    token = cookie(login(open_gateway))["value"]

    def once(_: int) -> int:
        headers = {"Cookie": f"refresh_token={token}"}
        return httpx.post(f"{open_gateway.url}api/refresh", headers=headers).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(once, range(8)))
    assert statuses == [200] + [401] * 7


def test_a_session_survives_a_restart(open_gateway: Gateway) -> None:
    access = login(open_gateway).json()["accessToken"]
    open_gateway.kill()
    open_gateway.start()
    open_gateway.token = access
    assert open_gateway.get("api/activities").status_code == 200
    assert open_gateway.post("api/refresh").status_code == 200


def test_a_refresh_token_expires(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", REFRESH_TOKEN_TTL="60")
    assert cookie(login(gateway))["max-age"] == "60"
    with closing(sqlite3.connect(gateway.data_dir / "auth.db")) as database:
        database.execute("UPDATE refresh_tokens SET expires = expires - 61")
        database.commit()
    assert gateway.post("api/refresh").status_code == 401


def test_a_logout(locked: Gateway) -> None:
    first = login(locked)
    token = cookie(first)["value"]
    response = locked.post("api/logout")
    assert (response.status_code, response.content) == (204, b"")
    assert cookie(response)["max-age"] == "0"
    assert response.headers["cache-control"] == "no-store"
    assert refresh(locked, token).status_code == 401
    locked.token = first.json()["accessToken"]
    response = locked.get("api/activities")
    assert response.status_code == 401
    assert "session ended" in response.headers["www-authenticate"]


def test_a_logout_always_succeeds(locked: Gateway) -> None:
    assert locked.post("api/logout").status_code == 204
    for header in ("refresh_token=x", "refresh_token=", ";"):
        assert locked.post("api/logout", headers={"Cookie": header}).status_code == 204
    locked.token = "bad"
    assert locked.post("api/logout", content=b"x" * 1_000_000).status_code == 204


def test_a_logout_without_the_cookie_ends_the_session_of_the_token(locked: Gateway) -> None:
    token = cookie(login(locked))["value"]
    access = locked.post("api/refresh", headers={"Cookie": f"refresh_token={token}"}).json()
    locked.forget()
    locked.token = access["accessToken"]
    assert locked.post("api/logout").status_code == 204
    assert locked.get("api/activities").status_code == 401


def test_pages_from_elsewhere_may_do_none_of_it(locked: Gateway) -> None:
    login(locked)
    headers = {"Origin": "https://evil.example"}
    for path in ("api/refresh", "api/logout"):
        assert locked.post(path, headers=headers).status_code == 403
    assert locked.post("api/refresh").status_code == 200


def test_secure_cookies(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", SECURE_COOKIES="1")
    assert cookie(login(gateway))["secure"]
    assert cookie(gateway.post("api/logout"))["secure"]


def test_listed_origins_may_log_in_with_credentials(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(
        ACCOUNTS="ada:secret", REQUIRE_AUTH="1", ALLOWED_ORIGINS="https://app.example"
    )
    origin = {"Origin": "https://app.example"}
    for response in (
        login(gateway, headers=origin),
        gateway.post("api/refresh", headers=origin),
    ):
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert response.headers["access-control-allow-credentials"] == "true"
    refused = gateway.get("api/activities", headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    preflight = gateway.request(
        "OPTIONS",
        "api/events",
        headers=origin
        | {
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,last-event-id",
        },
    )
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


def test_names_and_passwords_in_another_form(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="Jos\u00e9:caf\u00e9")
    body = {"username": "Jose\u0301", "password": "cafe\u0301"}
    response = gateway.post("api/login", json=body)
    assert response.json()["user"]["name"] == "Jos\u00e9"
    gateway.token = response.json()["accessToken"]
    assert gateway.get("api/activities").status_code == 200


def test_an_old_hash_is_replaced(open_gateway: Gateway) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("secret")
    with closing(sqlite3.connect(open_gateway.data_dir / "auth.db")) as database:
        database.execute("UPDATE accounts SET password_hash = ?", (old,))
        database.commit()
        assert login(open_gateway).status_code == 200
        ((new,),) = database.execute("SELECT password_hash FROM accounts").fetchall()
    assert new != old
    assert "m=65536" in new
    assert login(open_gateway).status_code == 200


def test_a_database_that_fails(open_gateway: Gateway) -> None:
    login(open_gateway)
    with closing(sqlite3.connect(open_gateway.data_dir / "auth.db")) as database:
        database.execute("DROP TABLE refresh_tokens")
    assert login(open_gateway).status_code == 503
    assert open_gateway.post("api/refresh").status_code == 503
    assert "Traceback" not in open_gateway.stderr


class TestAttempts:
    def test_failures_count_for_a_name(self) -> None:
        attempts = LoginAttempts(5)
        assert [attempts.take("1.1.1.1", "ada") == 0 for _ in range(6)] == [True] * 5 + [False]
        assert 0 < attempts.take("1.1.1.1", "ada") <= 12
        assert attempts.take("1.1.1.1", "bob") == 0
        assert attempts.take("2.2.2.2", "ada") == 0

    def test_and_for_an_address(self) -> None:
        attempts = LoginAttempts(5)
        taken = [attempts.take("1.1.1.1", str(n)) == 0 for n in range(21)]
        assert taken == [True] * 20 + [False]
        assert attempts.take("2.2.2.2", "20") == 0

    def test_success_does_not_count(self) -> None:
        attempts = LoginAttempts(5)
        for _ in range(100):
            assert attempts.take("1.1.1.1", "ada") == 0
            attempts.give_back("1.1.1.1", "ada")

    def test_being_refused_does_not_count_for_the_address(self) -> None:
        attempts = LoginAttempts(1)
        attempts.take("1.1.1.1", "ada")
        for _ in range(100):
            assert attempts.take("1.1.1.1", "ada") > 0
        assert [attempts.take("1.1.1.1", n) == 0 for n in "abcd"] == [True] * 3 + [False]


def test_too_many_failures(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", LOGIN_ATTEMPTS="2")
    wrong = {"username": "ada", "password": "wrong"}
    for _ in range(5):
        assert login(gateway).status_code == 200
    for _ in range(2):
        assert gateway.post("api/login", json=wrong).status_code == 401
    response = login(gateway)
    assert response.status_code == 429
    assert 0 < int(response.headers["retry-after"]) <= 30
    assert gateway.post("api/refresh").status_code == 200


@pytest.mark.anyio
async def test_attempts_at_once_do_not_slip_through(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", LOGIN_ATTEMPTS="3")
    async with httpx.AsyncClient(timeout=DEADLINE) as http:
        wrong = {"username": "ada", "password": "wrong"}
        responses = await asyncio.gather(
            *(http.post(f"{gateway.url}api/login", json=wrong) for _ in range(12))
        )
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [401] * 3 + [429] * 9


@pytest.mark.anyio
async def test_a_flood_of_logins_does_not_hold_up_the_rest(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", LOGIN_ATTEMPTS="1000")
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=200)) as http:
        flood = [
            asyncio.create_task(http.post(f"{gateway.url}api/login", json=ADA)) for _ in range(40)
        ]
        while not any(task.done() for task in flood):
            await asyncio.sleep(0)
        assert (await asyncio.to_thread(gateway.health))["status"] == "ok"
        statuses = {task.result().status_code for task in flood if await task}
    assert statuses == {200, 503}
    assert login(gateway).status_code == 200


def test_what_the_log_says_of_logins(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret")
    access = gateway.login("ada", "secret")
    for body in (
        {"username": "ada", "password": "PA55word"},
        {"username": "PA55word", "password": "x"},
    ):
        assert gateway.post("api/login", json=body).status_code == 401
    gateway.post("api/refresh?token=PA55word")
    gateway.post("api/logout")
    gateway.stop()
    assert "PA55word" not in gateway.stderr
    assert access not in gateway.stderr
    assert "secret" not in gateway.stderr
    logins = [(r["message"], r.get("user")) for r in gateway.log if "ogin" in r["message"]]
    assert logins == [("Login", "ada"), ("Login failed", "ada"), ("Login failed", None)]
