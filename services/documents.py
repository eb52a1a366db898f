"""The documents of a page whose user may log in and out."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .auth import AuthService
from .document import DocumentSession
from .errors import RealtimeError
from .guests import guest
from .platform import Platform, default_platform
from .tasks import Tasks


class Documents:
    """Opens documents for whoever is logged in, or for a guest with a name of this tab's own.

    What is kept in this browser is kept for that user: the next one does not see it. Ahead of a
    token's end, open documents are told the newer one; `close` ends that. At a login or logout
    the documents are to be opened anew: they are somebody else's. `told` hears what the documents
    report as errors. `options` are those of `DocumentSession`.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: AuthService,
        told: Callable[[str], None] = lambda _: None,
        platform: Platform | None = None,
        **options: Any,
    ) -> None:
        self._url = url
        self._auth = auth
        self._platform = platform or default_platform()
        self._told = told
        self._options = options
        self._open: weakref.WeakSet[DocumentSession] = weakref.WeakSet()
        self._tasks = Tasks(self._failed)
        self._cancel = auth.on("refresh", self._refreshed)

    def open(self, document_id: str) -> DocumentSession:
        """Return a session that is to be joined. Raises ConfigurationError for what is no id."""
        user = self._auth.user
        session = DocumentSession(
            document_id,
            url=self._url,
            token=self._auth,
            user=guest(self._platform) if user is None else user,
            owner="guest" if user is None else f"user {user['id']}",
            platform=self._platform,
            **self._options,
        )
        session.on("error", lambda event: self._told(event["error"]))
        self._open.add(session)
        return session

    def close(self) -> None:
        """Leave the open documents with the tokens they have."""
        self._cancel()
        self._tasks.cancel()

    def _refreshed(self, _event: Any) -> None:
        for session in tuple(self._open):
            self._tasks.spawn(session.authenticate())

    def _failed(self, error: BaseException) -> None:
        # How connecting goes is told to the sessions' own handlers.
        if not isinstance(error, RealtimeError):
            self._platform.report(error)
