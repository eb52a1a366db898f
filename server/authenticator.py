"""Who is it? The one question that REST, event streams and WebSockets all ask."""

from __future__ import annotations

from starlette.datastructures import Headers

from server.access_tokens import AccessTokens, Identity, InvalidTokenError
from server.session_store import SessionStore


class Authenticator:
    """Reads access tokens. `required` says whether a client may come without one."""

    def __init__(self, tokens: AccessTokens, sessions: SessionStore, *, required: bool) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self.required = required

    def identify(self, token: str) -> Identity:
        """Return whose token it is; raises `InvalidTokenError`, `AuthDatabaseError`."""
        identity = self._tokens.read(token)
        if not self._sessions.is_open(identity.session.id):
            raise InvalidTokenError("session ended")
        return identity


def bearer(headers: Headers) -> str | None:
    """Return the token in `Authorization` (RFC 6750 §2.1), None if there is none.

    Another scheme counts as none. Raises `InvalidTokenError` if there are two.
    """
    values = headers.getlist("authorization")
    if len(values) > 1:
        raise InvalidTokenError("expected one Authorization header")
    scheme, _, token = values[0].partition(" ") if values else ("", "", "")
    # RFC 9110 §11.1: a scheme is compared without regard to case.
    return token.strip() if scheme.lower() == "bearer" else None
