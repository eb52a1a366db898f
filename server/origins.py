"""Which pages may talk to the gateway.

A browser names the page's origin in `Origin` on every WebSocket handshake and every POST
(RFC 6454 §7, RFC 6455 §10.2), and no page can forge it. WebSockets know no CORS, and a simple
POST is sent before CORS is asked, so both are checked here. A program that is no browser sends
no `Origin`, and has nothing to protect: it carries nobody's cookies.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed(headers: Headers, allowed: Collection[str]) -> bool:
    """Tell whether a request's `Origin` is absent, the gateway's own, or one of `allowed`."""
    origin = headers.get("origin")
    if origin is None:
        return True
    origin = origin.lower()
    return origin in allowed or _is_same(origin, headers.get("host", ""))


def _is_same(origin: str, host: str) -> bool:
    # `Host` names no scheme, and a proxy that ends TLS hides it: host and port have to do.
    scheme, _, authority = origin.partition("://")
    if scheme not in _DEFAULT_PORTS or not host:
        return False
    try:
        ours, theirs = urlsplit(f"//{host.lower()}"), urlsplit(f"//{authority}")
        default = _DEFAULT_PORTS[scheme]
        return ours.hostname == theirs.hostname and (ours.port or default) == (
            theirs.port or default
        )
    except ValueError:
        return False
