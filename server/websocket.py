"""`/ws`: notifications, over a WebSocket. docs/protocol.md describes every frame."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from server import frames, origins, validation
from server.access_tokens import Identity, InvalidTokenError
from server.auth_database import AuthDatabaseError
from server.authenticator import Authenticator
from server.connections import Connections
from server.event_log import AlreadyAppliedError, EventLogError
from server.frames import ClientFrame, CloseError
from server.hub import CannotResumeError, Feed, Subscription
from server.metrics import Metrics
from server.rate_limit import RateLimiter, client_key
from server.validation import ValidationError

logger = logging.getLogger(__name__)

#: Seconds that live events wait for a client's `resume`, so that what it missed comes first.
RESUME_WINDOW = 0.5

#: Seconds that they wait for one that was announced in the URL (`?resume=1`): on a slow network
#: they would overtake what was missed, and a client cut off then would never hear of it.
ANNOUNCED_WINDOW = 20

#: Seconds a client has to authenticate, where it must.
AUTH_WINDOW = 10

#: Seconds between the signs of life for a client that is held back.
_SIGN_OF_LIFE = 5

#: Seconds that a client which does not read may hold up its close frame.
_CLOSE_TIMEOUT = 1


class Publisher(NamedTuple):
    """What becomes of a client's frame: who checks its payload, and where it goes."""

    feed: Feed[Any]
    validate: Callable[[Mapping[str, Any]], dict[str, Any]]


class WebSocketEndpoint:
    """Accepts connections to a feed, from the gateway's own origin and `allowed_origins`."""

    def __init__(
        self,
        feed: Feed[str],
        publishers: Mapping[str, Publisher],
        *,
        authenticator: Authenticator,
        connections: Connections,
        rate_limiter: RateLimiter,
        metrics: Metrics,
        allowed_origins: Collection[str],
    ) -> None:
        self.feed = feed
        self.publishers = publishers
        self.authenticator = authenticator
        self.rate_limiter = rate_limiter
        self.metrics = metrics
        self._connections = connections
        self._allowed_origins = allowed_origins

    async def connect(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        client = ":".join(map(str, websocket.client or ()))
        if not origins.is_allowed(websocket.headers, self._allowed_origins):
            logger.warning("Refused a WebSocket from another origin", extra={"client": client})
            await websocket.send_denial_response(PlainTextResponse("Forbidden origin", 403))
            return
        # Subscribed before accepting: a client that knows it is connected misses nothing.
        with self.feed.subscribe() as subscription:
            await websocket.accept()
            self.metrics.connections["websocket"].inc()
            logger.info("WebSocket opened", extra={"client": client})
            started = time.monotonic()
            connection = Connection(self, websocket, subscription)
            with self._connections.joined(connection):
                end = await connection.run()
        self.metrics.closes[str(end.code)].inc()
        if subscription.overrun:
            self.metrics.slow_clients["websocket"].inc()
        outcome = {
            "client": client,
            "user": connection.identity.session.user_name if connection.identity else None,
            "code": end.code,
            "reason": str(end),
            "seconds": round(time.monotonic() - started, 3),
            "received": connection.received,
            "sent": connection.sent,
        }
        logger.info("WebSocket closed", extra=outcome)


class Connection:
    """One accepted WebSocket: a task that sends events, and a loop that answers frames.

    Whoever wants it closed raises `CloseError` in one of its tasks, or calls `_end` from outside.
    """

    def __init__(
        self, endpoint: WebSocketEndpoint, websocket: WebSocket, subscription: Subscription[str]
    ) -> None:
        self._endpoint = endpoint
        self._metrics = endpoint.metrics
        self._websocket = websocket
        self._subscription = subscription
        self._client_key = client_key(websocket)
        self._ending: asyncio.Future[CloseError] = asyncio.get_running_loop().create_future()
        self._first_frame = asyncio.Event()
        self._admitted = asyncio.Event()
        # Held while events are sent, so that a replay is one uninterrupted run.
        self._turn = asyncio.Lock()
        self._resumed = False
        self._heard = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._is_answering = False
        self._is_delivered = False
        self._drained_to = -1
        self.identity: Identity | None = None
        #: Frames so far.
        self.received = self.sent = 0
        if endpoint.authenticator.required:
            self._end_in(AUTH_WINDOW, f"expected auth within {AUTH_WINDOW} s")
        else:
            self._admitted.set()

    async def run(self) -> CloseError:
        """Serve the connection until either side ends it; return how it ended."""
        ends: list[CloseError] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deliver())
                tasks.create_task(self._wait_for_end())
                await self._answer()
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
            if self._timer is not None:
                self._timer.cancel()
        return ends[0]

    def revoke(self, reason: str) -> None:
        """End at once: the client may no longer be here."""
        self._end(CloseError(frames.UNAUTHORIZED, reason))

    def start_draining(self) -> None:
        """Take part in nothing new: send what waits, answer what came."""
        self._subscription.finish()

    def is_drained(self) -> bool:
        """Tell whether no frame came since the last call, and all that did are answered."""
        came, self._drained_to = self.received - self._drained_to, self.received
        is_delivered = self._is_delivered or not self._admitted.is_set()
        return is_delivered and not came and not self._is_answering

    def restart(self) -> None:
        """End now, as the gateway does."""
        self._end(CloseError(frames.SERVICE_RESTART, "restarting"))

    def _end(self, error: CloseError) -> None:
        if not self._ending.done():
            self._ending.set_result(error)

    def _end_in(self, seconds: float, reason: str) -> None:
        """End for want of a token, unless a new time is set before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.revoke, reason)

    async def _wait_for_end(self) -> None:
        raise await self._ending

    async def _close(self, error: CloseError) -> None:
        # RuntimeError: uvicorn has closed it already, for a reason of its own.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._websocket.close(error.code, str(error))

    async def _deliver(self) -> None:
        """Send the events published since the connection was made."""
        await self._admitted.wait()
        is_announced = self._websocket.query_params.get("resume") == "1"
        window = ANNOUNCED_WINDOW if is_announced else RESUME_WINDOW
        try:
            # Not `wait_for`: before Python 3.12 it may lose a cancellation that comes then.
            async with asyncio.timeout(window):
                await self._first_frame.wait()
        except TimeoutError:
            if is_announced:
                reason = f"expected the announced resume within {window} s"
                raise CloseError(frames.TRY_AGAIN_LATER, reason) from None
        count = self._metrics.frames_sent["notification"].inc
        async for frame in self._subscription:
            async with self._turn:
                await self._send_text(frame)
            count()
        if self._subscription.overrun:
            reason = "too slow: too many events are waiting"
            raise CloseError(frames.TRY_AGAIN_LATER, reason)
        self._is_delivered = True

    async def _answer(self) -> None:
        """Answer the client's frames, one after another, until it goes or sends one that is none.

        While it waits, for the client's rate or for the client to read, nothing more is read:
        TCP holds the client back (RFC 9293 §3.8.6), and no frame is lost.
        """
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            self._is_answering = True
            self.received += 1
            await self._keep_to_the_rate()
            if self._ending.done():
                raise self._ending.result()
            await self._handle(frames.parse(message))
            self._is_answering = False
            # Frames that came together are all there: others want their turn in between.
            await asyncio.sleep(0)
        raise WebSocketDisconnect(message["code"])

    async def _keep_to_the_rate(self) -> None:
        take = self._endpoint.rate_limiter.take
        if wait := take(self._client_key):
            self._metrics.rate_limited["frame"].inc()
            while wait:
                await asyncio.sleep(min(wait, _SIGN_OF_LIFE))
                if self._admitted.is_set() and time.monotonic() - self._heard >= _SIGN_OF_LIFE:
                    # Its ping waits behind what it sent before: it must not take us for dead.
                    self._heard = time.monotonic()
                    await self._send("pong", {})
                wait = take(self._client_key)

    async def _handle(self, frame: ClientFrame) -> None:
        self._metrics.frames_received[frame.type].inc()
        if frame.type == "auth":
            # It comes before `resume`, and must not let live events overtake a replay.
            await self._authenticate(frame)
            return
        if not self._admitted.is_set():
            raise CloseError(frames.UNAUTHORIZED, "expected auth as the first frame")
        match frame.type:
            case "ping":
                await self._send("pong", {})
                await self._acknowledge(frame)
            case "resume" if self._resumed:
                await self._reject(frame, "already resumed: one resume per connection")
            case "resume":
                self._resumed = True
                await self._resume(frame)
            case kind if kind in self._endpoint.publishers:
                await self._publish(frame)
            case _:
                await self._reject(frame, f"unknown type {frame.type[:40]!r}")
        self._first_frame.set()

    async def _authenticate(self, frame: ClientFrame) -> None:
        """Let the client in, or on; one connection is one user's."""
        token = frame.payload.get("token") if isinstance(frame.payload, dict) else None
        if not isinstance(token, str):
            raise CloseError(frames.UNAUTHORIZED, 'expected a string as "token"')
        try:
            identity = self._endpoint.authenticator.identify(token)
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
        await self._send("auth-ok", {"user": identity.user, "expiresIn": int(seconds)})
        await self._acknowledge(frame)
        self._admitted.set()

    async def _publish(self, frame: ClientFrame) -> None:
        """Publish an event, once for each frame id, whichever connection the frame came by."""
        feed, validate = self._endpoint.publishers[frame.type]
        user_id = self.identity.session.user_id if self.identity else None
        key = frames.application_key(user_id, frame)
        try:
            event_id = (await feed.publish(validate(validation.payload(frame.payload)), key=key)).id
        except ValidationError as error:
            await self._reject(frame, str(error))
            return
        except AlreadyAppliedError as error:
            self._metrics.duplicates.inc()
            event_id = error.event_id
        except EventLogError as error:
            raise _log_failed(error) from None
        await self._acknowledge(frame, {"id": str(event_id)})

    async def _resume(self, frame: ClientFrame) -> None:
        """Send what the client missed, or tell it that this is not possible.

        Live events wait meanwhile. A client that resumes after its window may have been sent
        some already; what it missed then follows them, so it still gets everything once.
        """
        after = frames.resume_point(frame.payload)
        start = self._subscription.start
        count = self._metrics.frames_sent["notification"].inc
        async with self._turn:
            # However long the replay takes: live events wait for their turn now.
            self._first_frame.set()
            try:
                if after is not None:
                    async for missed in self._endpoint.feed.replay(after, until=start):
                        await self._send_text(missed)
                        count()
            except CannotResumeError as error:
                await self._send("reset", {"reason": error.reason, "after": str(start)})
            except EventLogError as error:
                raise _log_failed(error) from None
            await self._acknowledge(frame, {"after": str(start), "hold": True})

    async def _acknowledge(self, frame: ClientFrame, result: Any = None) -> None:
        if frame.id is not None:
            payload = {"id": frame.id}
            await self._send("ack", payload if result is None else payload | {"result": result})

    async def _reject(self, frame: ClientFrame, error: str) -> None:
        if frame.id is not None:
            await self._send("nack", {"id": frame.id, "error": error})

    async def _send(self, kind: str, payload: Any) -> None:
        await self._send_text(frames.encode(kind, payload))
        self._metrics.frames_sent[kind].inc()

    async def _send_text(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except RuntimeError:
            # uvicorn has closed it meanwhile, for a reason of its own.
            raise WebSocketDisconnect(1006) from None
        self.sent += 1


def _log_failed(error: EventLogError) -> CloseError:
    """Return what a client is closed with that cannot be answered: it is to come back and ask."""
    logger.error("The event log failed", extra={"error": str(error)})
    return CloseError(frames.TRY_AGAIN_LATER, "the event log is out of order")
