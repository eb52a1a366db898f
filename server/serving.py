"""The uvicorn server, and how it stops: nobody new, everything that waits, then 1012."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn

from server.connections import Connections

#: Seconds that clients have to take what waits for them when the gateway stops.
DRAIN = 2

#: Seconds that requests have to end after that.
FAREWELL = 1

#: Seconds that a client has to answer its close frame, at least.
_LAST_WORDS = 0.5

_TICK = 0.02


class Server(uvicorn.Server):
    """Serves the gateway until a signal, and drains it before it stops.

    The first signal stops it gracefully, with exit status 0; a second one ends it at once.
    """

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._open = connections

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take note of a signal."""
        if self.should_exit:
            # Nothing is lost: what was acknowledged is in the log.
            signal.signal(sig, signal.SIG_DFL)
            os.kill(os.getpid(), sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drain, and leave the rest to uvicorn.

        By itself uvicorn would send 1012 first, and nothing after it.
        """
        for server in self.servers:
            server.close()
        deadline = asyncio.get_running_loop().time() + DRAIN
        await self._open.drain(DRAIN, patience=_LAST_WORDS)
        await self._settle(max(deadline, asyncio.get_running_loop().time() + _LAST_WORDS))
        for connection in self._busy():
            # Whoever has not taken its bytes by now does not read, and would hold us up.
            connection.transport.abort()
        await super().shutdown(sockets)

    async def _settle(self, deadline: float) -> None:
        """Let the last bytes, and the answers to the close frames, pass."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while self._busy():  # noqa: ASYNC110 - transports tell nobody
                    await asyncio.sleep(_TICK)

    def _busy(self) -> list[Any]:
        """Return uvicorn's connections that have bytes to send, or wait for a close frame."""
        return [
            connection
            for connection in self.server_state.connections
            if getattr(connection, "close_sent", False)
            or connection.transport.get_write_buffer_size()
        ]
