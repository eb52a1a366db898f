from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from server.origins import is_allowed


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "127.0.0.1:3000"),
        ("http://127.0.0.1:3000", "127.0.0.1:3000"),
        ("http://LocalHost:3000", "localhost:3000"),
        ("http://[::1]:3000", "[::1]:3000"),
        ("http://example.com", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com", "example.com"),
        ("https://example.com", "example.com:443"),
        ("https://listed.example", "127.0.0.1:3000"),
        ("https://LISTED.example", "127.0.0.1:3000"),
    ],
)
def test_allowed(origin: str | None, host: str) -> None:
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    assert is_allowed(Headers(headers), ("https://listed.example",))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "127.0.0.1:3000"),
        ("", "127.0.0.1:3000"),
        ("http://localhost:3000", "127.0.0.1:3000"),
        ("http://127.0.0.1:3001", "127.0.0.1:3000"),
        ("http://127.0.0.1", "127.0.0.1:3000"),
        ("http://127.0.0.1:3000.evil.example", "127.0.0.1:3000"),
        ("https://evil.example", "127.0.0.1:3000"),
        ("http://listed.example", "127.0.0.1:3000"),
        ("https://listed.example.evil.example", "127.0.0.1:3000"),
        ("https://example.com", "example.com:80"),
        ("http://[::1", "[::1"),
        ("http://a:b", "a:b"),
        ("file://", ""),
        ("http://", ""),
    ],
)
def test_refused(origin: str, host: str) -> None:
    headers = Headers({"host": host, "origin": origin})
    assert not is_allowed(headers, ("https://listed.example",))
