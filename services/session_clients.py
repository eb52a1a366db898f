"""Keeps connections in step with the session: who logs in or out is somebody else to the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .auth import AuthService
from .errors import RealtimeError
from .shared_connection import SharedConnection
from .shared_events import SharedEvents
from .tasks import Tasks


class SessionClients:
    """Connects anew at a login, under its token; at a logout without one, as a guest.

    Of the streams, those that were not connected stay so.

    What waited to be sent when somebody logged out is forgotten. Ahead of the token's end the
    server is told the newer one, so that nothing is interrupted. `close` ends that.
    """

    def __init__(
        self,
        auth: AuthService,
        socket: SharedConnection,
        *streams: SharedEvents,
        report: Callable[[BaseException], None],
    ) -> None:
        self._socket = socket
        self._streams = streams
        self._report = report
        self._tasks = Tasks(self._failed)
        self._cancels = [
            auth.on("login", self._logged_in),
            auth.on("logout", self._logged_out),
            auth.on("refresh", self._refreshed),
        ]

    def close(self) -> None:
        """Leave the connections as they are from now on."""
        for cancel in self._cancels:
            cancel()
        self._tasks.cancel()

    def _logged_in(self, _event: Any) -> None:
        self._renew(self._connected())

    def _logged_out(self, _event: Any) -> None:
        streams = self._connected()
        self._socket.disconnect()
        for stream in streams:
            stream.disconnect()
        self._renew(streams)

    def _connected(self) -> list[SharedEvents]:
        return [stream for stream in self._streams if stream.state != "closed"]

    def _refreshed(self, _event: Any) -> None:
        self._tasks.spawn(self._socket.authenticate())

    def _renew(self, streams: list[SharedEvents]) -> None:
        self._socket.renew()
        self._tasks.spawn(self._socket.connect())
        for stream in streams:
            stream.renew()
            stream.connect()

    def _failed(self, error: BaseException) -> None:
        # How connecting goes is told to the clients' own handlers.
        if not isinstance(error, RealtimeError):
            self._report(error)
