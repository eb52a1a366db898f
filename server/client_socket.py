"""What the gateway's WebSockets have in common: how they begin, who may, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from server import frames, origins
from server.access_tokens import Identity
from server.admission import Admission
from server.authenticator import Authenticator
from server.connections import Connections
from server.frames import CloseError
from server.metrics import Metrics

logger = logging.getLogger(__name__)

#: Seconds that a client which does not read may hold up its close frame.
_CLOSE_TIMEOUT = 1


class SocketEndpoint:
    """Accepts connections, from the gateway's own origin and `allowed_origins`."""

    #: What is accepted, in the metrics and in the log.
    kind: str
    name: str

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        connections: Connections,
        metrics: Metrics,
        allowed_origins: Collection[str],
    ) -> None:
        self.authenticator = authenticator
        self.metrics = metrics
        self._connections = connections
        self._allowed_origins = allowed_origins

    async def is_refused(self, websocket: WebSocket) -> bool:
        """Tell whether the page may not connect, which has been answered then."""
        if origins.is_allowed(websocket.headers, self._allowed_origins):
            return False
        logger.warning(
            "Refused a WebSocket from another origin", extra={"client": _address(websocket)}
        )
        await websocket.send_denial_response(PlainTextResponse("Forbidden origin", 403))
        return True

    async def serve(
        self, websocket: WebSocket, make: Callable[[], ClientSocket], **about: Any
    ) -> None:
        """Accept a connection and serve it to its end; `about` is noted in the log."""
        about["client"] = _address(websocket)
        await websocket.accept()
        self.metrics.connections[self.kind].inc()
        logger.info("%s opened", self.name, extra=about)
        started = time.monotonic()
        connection = make()
        with self._connections.joined(connection):
            end = await connection.run()
        self.metrics.closes[str(end.code)].inc()
        identity = connection.identity
        outcome = {
            **about,
            "user": identity.session.user_name if identity else None,
            "code": end.code,
            "reason": str(end),
            "seconds": round(time.monotonic() - started, 3),
            "received": connection.received,
            "sent": connection.sent,
        }
        logger.info("%s closed", self.name, extra=outcome)


class ClientSocket:
    """One accepted WebSocket: a task that delivers, and a loop that answers frames.

    Whoever wants it closed raises `CloseError` in one of its tasks, or calls `end` from outside.
    """

    def __init__(self, websocket: WebSocket, authenticator: Authenticator) -> None:
        self.websocket = websocket
        self._ending: asyncio.Future[CloseError] = asyncio.get_running_loop().create_future()
        self._drained_to = -1
        #: Whether a frame that came is being dealt with.
        self.is_answering = False
        self.admission = Admission(authenticator, self.end)
        #: Frames so far.
        self.received = self.sent = 0

    @property
    def identity(self) -> Identity | None:
        """Whose it is; None for a guest's."""
        return self.admission.identity

    async def deliver(self) -> None:
        """Send what is published, once the client is admitted."""
        raise NotImplementedError

    async def answer(self) -> None:
        """Answer the client's frames; raise `WebSocketDisconnect` when it goes."""
        raise NotImplementedError

    async def run(self) -> CloseError:
        """Serve the connection until either side ends it; return how it ended."""
        ends: list[CloseError] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.deliver())
                tasks.create_task(self._wait_for_end())
                await self.answer()
        except* CloseError as group:
            ends = [error for error in group.exceptions if isinstance(error, CloseError)]
            await self._close(ends[0])
        except* WebSocketDisconnect as group:
            # The client went, maybe while it was being sent something.
            ends += [
                CloseError(error.code, "")
                for error in group.exceptions
                if isinstance(error, WebSocketDisconnect)
            ]
        finally:
            self.admission.close()
        return ends[0]

    def end(self, error: CloseError) -> None:
        """Close it with this code and reason, unless something else came first."""
        if not self._ending.done():
            self._ending.set_result(error)

    def check_end(self) -> None:
        """Raise the `CloseError` that it is to be closed with, if there is one."""
        if self._ending.done():
            raise self._ending.result()

    def revoke(self, reason: str) -> None:
        """End at once: the client may no longer be here."""
        self.end(CloseError(frames.UNAUTHORIZED, reason))

    def start_draining(self) -> None:
        """Take part in nothing new: send what waits, answer what came."""

    def is_delivered(self) -> bool:
        """Tell whether nothing waits to be sent."""
        raise NotImplementedError

    def is_drained(self) -> bool:
        """Tell whether no frame came since the last call, and all that did are answered."""
        came, self._drained_to = self.received - self._drained_to, self.received
        is_delivered = self.is_delivered() or not self.admission.is_admitted
        return is_delivered and not came and not self.is_answering

    def restart(self) -> None:
        """End now, as the gateway does."""
        self.end(CloseError(frames.SERVICE_RESTART, "restarting"))

    async def send_text(self, text: str) -> None:
        """Send a text frame."""
        await self._send({"type": "websocket.send", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        await self._send({"type": "websocket.send", "bytes": data})

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self.websocket.send(message)
        except RuntimeError:
            # uvicorn has closed it meanwhile, for a reason of its own.
            raise WebSocketDisconnect(1006) from None
        self.sent += 1

    async def _wait_for_end(self) -> None:
        raise await self._ending

    async def _close(self, error: CloseError) -> None:
        # RuntimeError: uvicorn has closed it already, for a reason of its own.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.websocket.close(error.code, str(error))


def _address(websocket: WebSocket) -> str:
    return ":".join(map(str, websocket.client or ()))
