"""Who is at a WebSocket, and until when: tokens that come in frames, and run out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from server import frames
from server.access_tokens import Identity, InvalidTokenError
from server.auth_database import AuthDatabaseError
from server.authenticator import Authenticator
from server.frames import CloseError

logger = logging.getLogger(__name__)

#: Seconds a client has to authenticate, where it must.
AUTH_WINDOW = 10


class Admission:
    """One connection's: whose it is, and whether it may take part yet.

    It ends the connection, by calling `end`, when no token comes where one is needed, and when
    the last one expires.
    """

    def __init__(self, authenticator: Authenticator, end: Callable[[CloseError], None]) -> None:
        self._authenticator = authenticator
        self._end = end
        self._timer: asyncio.TimerHandle | None = None
        self._admitted = asyncio.Event()
        #: Whose the connection is; None for a guest's.
        self.identity: Identity | None = None
        if authenticator.required:
            self._end_in(AUTH_WINDOW, f"expected auth within {AUTH_WINDOW} s")
        else:
            self.admit()

    @property
    def is_admitted(self) -> bool:
        """Whether the client may take part."""
        return self._admitted.is_set()

    async def wait(self) -> None:
        """Return once the client may take part."""
        await self._admitted.wait()

    def admit(self) -> None:
        """Let the client take part."""
        self._admitted.set()

    def check(self) -> None:
        """Raise `CloseError` if the client may not take part yet, but does."""
        if not self._admitted.is_set():
            raise CloseError(frames.UNAUTHORIZED, "expected auth as the first frame")

    def authenticate(self, payload: Any) -> dict[str, Any]:
        """Take an `auth` frame's payload; return that of the `auth-ok`, raise `CloseError`."""
        token = payload.get("token") if isinstance(payload, dict) else None
        if not isinstance(token, str):
            raise CloseError(frames.UNAUTHORIZED, 'expected a string as "token"')
        return self.show(token)

    def show(self, token: str) -> dict[str, Any]:
        """Take a token for this connection, or one more; one connection is one user's.

        Return whose it is and the seconds it lasts, as a client is told; raise `CloseError`.
        """
        try:
            identity = self._authenticator.identify(token)
        except InvalidTokenError as error:
            raise CloseError(frames.UNAUTHORIZED, str(error)) from None
        except AuthDatabaseError as error:
            logger.error("The accounts cannot be read", extra={"error": str(error)})
            raise CloseError(frames.TRY_AGAIN_LATER, "the accounts cannot be read") from None
        if self.identity and self.identity.session.user_id != identity.session.user_id:
            raise CloseError(frames.FORBIDDEN, "expected a token of the same user")
        self.identity = identity
        seconds = max(0.0, identity.expires - time.time())
        self._end_in(seconds, "token expired")
        return {"user": identity.user, "expiresIn": int(seconds)}

    def close(self) -> None:
        """End the connection for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _end_in(self, seconds: float, reason: str) -> None:
        """End for want of a token, unless a new time is set before."""
        self.close()
        error = CloseError(frames.UNAUTHORIZED, reason)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end, error)
