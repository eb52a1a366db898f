"""`/ws`: notifications, over a WebSocket. docs/protocol.md describes every frame."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.websockets import WebSocket, WebSocketDisconnect

from server import frames, validation
from server.client_socket import ClientSocket, SocketEndpoint
from server.event_log import AlreadyAppliedError, EventLogError
from server.frames import ClientFrame, CloseError
from server.hub import CannotResumeError, Feed, Subscription
from server.rate_limit import RateLimiter, client_key
from server.validation import ValidationError

logger = logging.getLogger(__name__)

#: Seconds that live events wait for a client's `resume`, so that what it missed comes first.
RESUME_WINDOW = 0.5

#: Seconds that they wait for one that was announced in the URL (`?resume=1`): on a slow network
#: they would overtake what was missed, and a client cut off then would never hear of it.
ANNOUNCED_WINDOW = 20

#: Seconds between the signs of life for a client that is held back.
_SIGN_OF_LIFE = 5


class Publisher(NamedTuple):
    """What becomes of a client's frame: who checks its payload, and where it goes."""

    feed: Feed[Any]
    validate: Callable[[Mapping[str, Any]], dict[str, Any]]


class WebSocketEndpoint(SocketEndpoint):
    """Connects clients to a feed."""

    kind = "websocket"
    name = "WebSocket"

    def __init__(
        self,
        feed: Feed[str],
        publishers: Mapping[str, Publisher],
        *,
        rate_limiter: RateLimiter,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.feed = feed
        self.publishers = publishers
        self.rate_limiter = rate_limiter

    async def connect(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        if await self.is_refused(websocket):
            return
        # Subscribed before accepting: a client that knows it is connected misses nothing.
        with self.feed.subscribe() as subscription:
            await self.serve(websocket, lambda: Connection(self, websocket, subscription))
        if subscription.overrun:
            self.metrics.slow_clients["websocket"].inc()


class Connection(ClientSocket):
    """One client of the feed."""

    def __init__(
        self, endpoint: WebSocketEndpoint, websocket: WebSocket, subscription: Subscription[str]
    ) -> None:
        super().__init__(websocket, endpoint.authenticator)
        self._endpoint = endpoint
        self._metrics = endpoint.metrics
        self._subscription = subscription
        self._client_key = client_key(websocket)
        self._first_frame = asyncio.Event()
        # Held while events are sent, so that a replay is one uninterrupted run.
        self._turn = asyncio.Lock()
        self._resumed = False
        self._heard = time.monotonic()
        self._is_delivered = False

    def start_draining(self) -> None:
        """Take part in nothing new: send what waits, answer what came."""
        self._subscription.finish()

    def is_delivered(self) -> bool:
        """Tell whether every event was sent."""
        return self._is_delivered

    async def deliver(self) -> None:
        """Send the events published since the connection was made."""
        await self.admission.wait()
        is_announced = self.websocket.query_params.get("resume") == "1"
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
                await self.send_text(frame)
            count()
        if self._subscription.overrun:
            reason = "too slow: too many events are waiting"
            raise CloseError(frames.TRY_AGAIN_LATER, reason)
        self._is_delivered = True

    async def answer(self) -> None:
        """Answer the client's frames, one after another, until it goes or sends one that is none.

        While it waits, for the client's rate or for the client to read, nothing more is read:
        TCP holds the client back (RFC 9293 §3.8.6), and no frame is lost.
        """
        while (message := await self.websocket.receive())["type"] == "websocket.receive":
            self.is_answering = True
            self.received += 1
            await self._keep_to_the_rate()
            self.check_end()
            await self._handle(frames.parse(message))
            self.is_answering = False
            # Frames that came together are all there: others want their turn in between.
            await asyncio.sleep(0)
        raise WebSocketDisconnect(message["code"])

    async def _keep_to_the_rate(self) -> None:
        take = self._endpoint.rate_limiter.take
        if wait := take(self._client_key):
            self._metrics.rate_limited["frame"].inc()
            while wait:
                await asyncio.sleep(min(wait, _SIGN_OF_LIFE))
                if self.admission.is_admitted and time.monotonic() - self._heard >= _SIGN_OF_LIFE:
                    # Its ping waits behind what it sent before: it must not take us for dead.
                    self._heard = time.monotonic()
                    await self._send_frame("pong", {})
                wait = take(self._client_key)

    async def _handle(self, frame: ClientFrame) -> None:
        self._metrics.frames_received[frame.type].inc()
        if frame.type == "auth":
            # It comes before `resume`, and must not let live events overtake a replay.
            await self._authenticate(frame)
            return
        self.admission.check()
        match frame.type:
            case "ping":
                await self._send_frame("pong", {})
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
        """Let the client in, or on."""
        await self._send_frame("auth-ok", self.admission.authenticate(frame.payload))
        await self._acknowledge(frame)
        self.admission.admit()

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
                        await self.send_text(missed)
                        count()
            except CannotResumeError as error:
                await self._send_frame("reset", {"reason": error.reason, "after": str(start)})
            except EventLogError as error:
                raise _log_failed(error) from None
            await self._acknowledge(frame, {"after": str(start), "hold": True})

    async def _acknowledge(self, frame: ClientFrame, result: Any = None) -> None:
        if frame.id is not None:
            payload = {"id": frame.id}
            await self._send_frame(
                "ack", payload if result is None else payload | {"result": result}
            )

    async def _reject(self, frame: ClientFrame, error: str) -> None:
        if frame.id is not None:
            await self._send_frame("nack", {"id": frame.id, "error": error})

    async def _send_frame(self, kind: str, payload: Any) -> None:
        await self.send_text(frames.encode(kind, payload))
        self._metrics.frames_sent[kind].inc()


def _log_failed(error: EventLogError) -> CloseError:
    """Return what a client is closed with that cannot be answered: it is to come back and ask."""
    logger.error("The event log failed", extra={"error": str(error)})
    return CloseError(frames.TRY_AGAIN_LATER, "the event log is out of order")
