"""Which names the gateway answers to.

DNS rebinding makes a browser take the gateway for a part of the attacker's own site: the name
leads here, and `Origin` and `Host` agree. But `Host` still names the attacker's site. So only
names nobody else can own are answered: addresses, `localhost` (RFC 6761 §6.3), and those the
settings list.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket


class HostCheck:
    """Middleware that answers 421 (RFC 9110 §15.5.20) to requests for another host."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it."""
        if scope["type"] == "lifespan" or is_allowed(Headers(scope=scope), self._allowed):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse("Unknown host: list it in ALLOWED_HOSTS", 421)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)


def is_allowed(headers: Headers, allowed: Collection[str]) -> bool:
    """Tell whether a request's `Host` is an address, localhost or one of `allowed`."""
    try:
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in allowed:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
