"""Everyone who is connected, to be told when it is over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from server.access_tokens import Identity

#: Seconds between two looks at who has been sent everything.
_TICK = 0.02


class OpenConnection(Protocol):
    """A client's WebSocket or event stream."""

    @property
    def identity(self) -> Identity | None:
        """Whose it is; None for a guest's."""

    def revoke(self, reason: str) -> None:
        """End at once: the client may no longer be here."""

    def start_draining(self) -> None:
        """Take part in nothing new: send what waits, answer what came."""

    def is_drained(self) -> bool:
        """Tell whether all that was asked of it since the last call is done."""

    def restart(self) -> None:
        """End now, as the gateway does."""


class Connections:
    """The open connections."""

    def __init__(self) -> None:
        self._open: set[OpenConnection] = set()

    @contextmanager
    def joined(self, connection: OpenConnection) -> Iterator[None]:
        """Count a connection in for as long as it lasts."""
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)

    def revoke(self, session_id: str) -> None:
        """End the connections of a session."""
        self.revoke_unless(lambda other: other != session_id)

    def revoke_unless(self, is_open: Callable[[str], bool]) -> None:
        """End the connections whose session is not open."""
        for connection in tuple(self._open):
            identity = connection.identity
            if identity is not None and not is_open(identity.session.id):
                connection.revoke("session ended")

    async def drain(self, seconds: float, *, patience: float) -> None:
        """End every connection once it was sent what waits for it, after `seconds` anyway.

        Return when they have ended, or `patience` seconds later.
        """
        for connection in tuple(self._open):
            connection.start_draining()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    await asyncio.sleep(_TICK)
                    for connection in tuple(self._open):
                        if connection.is_drained():
                            connection.restart()
        for connection in tuple(self._open):
            connection.restart()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._open:  # noqa: ASYNC110 - once in a gateway's life
                    await asyncio.sleep(_TICK)
