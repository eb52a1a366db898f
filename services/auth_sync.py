"""Signing in and out, for all tabs at once."""

from __future__ import annotations

from typing import Any

from .auth import AuthService
from .errors import InvalidAnswer, RealtimeError
from .session import User
from .tab_sync import TabSync
from .tasks import Tasks

LOGOUT, LOGIN, TOKEN_REFRESH = "auth-logout", "auth-login", "auth-token-refresh"

SESSION_ENDED = "session-ended"
"""The reason of a logout that the gateway decided."""

ELSEWHERE = "logout-other-tab"
"""The reason of a logout that happened in another tab."""


class AuthSync:
    """Tells the other tabs what happens to the session, and does what they tell.

    Nothing that crosses is secret: a login names the user, the rest is empty. The token itself the
    others take from the vault (see ``auth``), so a message that was forged signs nobody in. What
    `auth` tells of this tab is broadcast by itself; the methods are for those who manage a session
    of another kind.
    """

    def __init__(self, auth: AuthService, tabs: TabSync) -> None:
        self._auth = auth
        self._tabs = tabs
        # A gateway that cannot be reached now is asked again whenever a token is needed.
        self._tasks = Tasks(self._failed)
        # While this tab does what another one told, it has nothing to tell of it.
        self._listening = False
        self._cancels = [
            auth.on("login", lambda event: self._tell(LOGIN, event["user"])),
            auth.on("logout", self._tell_logout),
            auth.on("refresh", lambda _: self._tell(TOKEN_REFRESH, {})),
            tabs.on(LOGOUT, self._logged_out),
            tabs.on(LOGIN, self._logged_in),
            tabs.on(TOKEN_REFRESH, self._refreshed),
        ]

    def broadcast_logout(self) -> None:
        """Sign all other tabs out."""
        self._tabs.broadcast(LOGOUT, {})

    def broadcast_login(self, user: dict[str, Any]) -> None:
        """Let all other tabs take up the session of that user. Raises InvalidAnswer for none."""
        self._tabs.broadcast(LOGIN, User.from_value(user).as_dict())

    def broadcast_token_refresh(self) -> None:
        """Let all other tabs take the newer token."""
        self._tabs.broadcast(TOKEN_REFRESH, {})

    def close(self) -> None:
        """Tell and do nothing more."""
        for cancel in self._cancels:
            cancel()
        self._tasks.cancel()

    def _tell(self, type_: str, payload: dict[str, Any]) -> None:
        if not self._auth.is_adopting:
            self._tabs.broadcast(type_, payload)

    def _tell_logout(self, event: dict[str, Any]) -> None:
        if not self._listening:
            self._tabs.broadcast(LOGOUT, event)

    def _logged_out(self, payload: object, _tab_id: str) -> None:
        # That the gateway ended it is what a person wants to know, whichever tab heard of it.
        has_ended = isinstance(payload, dict) and payload.get("reason") == SESSION_ENDED
        self._listening = True
        self._auth.signed_out_elsewhere(SESSION_ENDED if has_ended else ELSEWHERE)
        self._listening = False

    def _logged_in(self, payload: object, _tab_id: str) -> None:
        try:
            User.from_value(payload)
        except InvalidAnswer as error:
            self._tabs.misheard(error)
            return
        self._tasks.spawn(self._auth.adopt())

    def _refreshed(self, _payload: object, _tab_id: str) -> None:
        self._tasks.spawn(self._auth.adopt_refresh())

    def _failed(self, error: BaseException) -> None:
        # A gateway that cannot be reached now is asked again whenever a token is needed.
        if not isinstance(error, RealtimeError):
            self._auth.report(error)
