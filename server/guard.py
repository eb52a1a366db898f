"""The doors: what a request must show to pass (RFC 6750)."""

from __future__ import annotations

import hmac
import unicodedata
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from server.access_tokens import Identity, InvalidTokenError
from server.authenticator import Authenticator, bearer

#: Where one gets a token; a bad one must not keep anyone from getting a better one.
_OPEN = frozenset({"/api/login", "/api/refresh", "/api/logout"})

_DOCUMENTS = "/api/documents/"

#: The key of `scope["state"]` that holds who a request comes from: an `Identity`, or None.
IDENTITY = "identity"


class Guard:
    """Raises `HTTPException` 401 for who may not pass, and notes who does.

    The page and `/healthz` are for all. For the rest a token that is presented must be good, and
    where `authenticator.required`, there must be one. `/metrics` also opens to `metrics_token`,
    and if that is set, to nobody without a token. WebSockets show theirs in a frame.
    """

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, metrics_token: str | None
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._metrics_token = metrics_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it."""
        if scope["type"] == "http" and not _is_path(scope["path"]):
            raise HTTPException(404)
        if scope["type"] == "http" and is_guarded(scope["path"]):
            scope.setdefault("state", {})[IDENTITY] = self._admit(scope)
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Identity | None:
        secret = self._metrics_token if scope["path"] == "/metrics" else None
        try:
            token = bearer(Headers(scope=scope))
            if token is None:
                if self._authenticator.required or secret:
                    # RFC 6750 §3.1: who shows no token is not told about errors.
                    _refuse("Expected an access token", "Bearer")
                return None
            # In constant time: how long it takes must not tell how much was right.
            if secret and hmac.compare_digest(token.encode(), secret.encode()):
                return None
            return self._authenticator.identify(token)
        except InvalidTokenError as error:
            challenge = f'Bearer error="invalid_token", error_description="{error}"'
            _refuse(str(error).capitalize(), challenge)


def _is_path(path: str) -> bool:
    """Tell whether a path may lead anywhere.

    A route's pattern may end before a line end, and then be another path than ours. A document
    may be called what cannot be printed, such as a family of people joined to one character.
    """
    if path.startswith(_DOCUMENTS):
        return not any(unicodedata.category(character) == "Cc" for character in path)
    return path.isprintable()


def is_guarded(path: str) -> bool:
    """Tell whether a path is no part of the page and not for all."""
    return is_api(path) and path not in _OPEN


def is_api(path: str) -> bool:
    """Tell whether a path is none of the page's: its errors are JSON."""
    return path in ("/metrics", "/api") or path.startswith("/api/")


def _refuse(message: str, challenge: str) -> NoReturn:
    raise HTTPException(401, message, headers={"WWW-Authenticate": challenge})
