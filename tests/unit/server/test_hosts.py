from __future__ import annotations

import httpx
import pytest
from starlette.datastructures import Headers

from server.hosts import is_allowed
from tests.support.gateway import Gateway


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:3000",
        "[::1]:3000",
        "localhost",
        "LOCALHOST:80",
        "a.localhost:1",
        "live.example.com:8443",
    ],
)
def test_addresses_localhost_and_listed_names_are_answered(host: str) -> None:
    assert is_allowed(Headers({"host": host}), ["live.example.com"])


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "", "[", "localhost.x"]
)
def test_other_names_are_not(host: str) -> None:
    assert not is_allowed(Headers({"host": host}), ["live.example.com"])


def test_a_rebound_name_gets_nothing(gateway: Gateway) -> None:
    evil = f"evil.example:{gateway.port}"
    headers = {"Host": evil, "Origin": f"http://{evil}"}
    with httpx.Client() as http:
        url = f"{gateway.url}api/notifications"
        assert http.post(url, json={"title": "x"}, headers=headers).status_code == 421
        assert http.get(gateway.url, headers={"Host": evil}).status_code == 421
        handshake = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        assert http.get(f"{gateway.url}ws", headers=headers | handshake).status_code == 421
