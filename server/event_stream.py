"""`GET /api/events`: activities, as Server-Sent Events (WHATWG HTML §9.2)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from server.access_tokens import Identity
from server.connections import Connections
from server.event_log import Event, EventLogError
from server.guard import IDENTITY
from server.hub import CannotResumeError, Feed, Subscription
from server.metrics import Metrics

logger = logging.getLogger(__name__)

#: Seconds after which sse-starlette ends the streams of a gateway that stops. We do before.
_FAREWELL = 5

_LINE_END = "\n"

#: Says that all that a client missed has been sent. A line alone: after a comment with a blank line
#: some parsers would see an event without data.
CAUGHT_UP = b": caught up\n"


def encode_event(event: Event) -> bytes:
    """Return the bytes that carry an event of the log: one event, its data on one line."""
    data = json.dumps(event.payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _encode(data, event=event.type, event_id=str(event.id))


class EventStreamEndpoint:
    """Serves a feed as event streams, with a comment every `comment_interval` seconds."""

    def __init__(
        self,
        feed: Feed[bytes],
        *,
        connections: Connections,
        metrics: Metrics,
        comment_interval: float,
    ) -> None:
        self._feed = feed
        self._connections = connections
        self._metrics = metrics
        self._comment_interval = comment_interval

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream from its request to its end."""
        request = Request(scope, receive)
        # The header wins: a browser that reconnects sends it along with the URL it began with.
        after = request.headers.get("last-event-id") or request.query_params.get("lastEventId")
        with self._feed.subscribe() as subscription:
            stream = EventStream(self._feed, subscription, scope["state"].get(IDENTITY))
            # A client that has no id yet learns where it stands, so that it can resume from there
            # before it got any event. In the body, an id alone would be an event to some parsers.
            response = EventSourceResponse(
                stream.frames(after),
                headers={} if after else {"Last-Event-ID": str(subscription.start)},
                sep=_LINE_END,
                ping=self._comment_interval,
                ping_message_factory=lambda: ServerSentEvent(comment="", sep=_LINE_END),
                shutdown_grace_period=_FAREWELL,
            )
            if request.method == "HEAD":
                await response(scope, receive, send)
            else:
                await self._serve(stream, response, request, send)

    async def _serve(
        self, stream: EventStream, response: EventSourceResponse, request: Request, send: Send
    ) -> None:
        client = ":".join(map(str, request.client or ()))
        self._metrics.connections["event-stream"].inc()
        logger.info("Event stream opened", extra={"client": client, "user": stream.user})
        started = time.monotonic()
        try:
            with self._connections.joined(stream), stream.expiring():
                await response(request.scope, request.receive, send)
        finally:
            if stream.subscription.overrun:
                self._metrics.slow_clients["event-stream"].inc()
                stream.reason = "too slow"
            outcome = {
                "client": client,
                "user": stream.user,
                "reason": stream.reason,
                "seconds": round(time.monotonic() - started, 3),
                "sent": stream.sent,
            }
            logger.info("Event stream closed", extra=outcome)


class EventStream:
    """One client's stream."""

    def __init__(
        self,
        feed: Feed[bytes],
        subscription: Subscription[bytes],
        identity: Identity | None,
    ) -> None:
        self._feed = feed
        self.subscription = subscription
        self.identity = identity
        #: Events so far.
        self.sent = 0
        #: Why the gateway ended it; empty if the client did.
        self.reason = ""

    @property
    def user(self) -> str | None:
        """The name of its user."""
        return self.identity.session.user_name if self.identity else None

    @contextmanager
    def expiring(self) -> Iterator[None]:
        """End the stream when its token expires, if it goes on for so long."""
        if self.identity is None:
            yield
            return
        seconds = max(0.0, self.identity.expires - time.time())
        timer = asyncio.get_running_loop().call_later(seconds, self.revoke, "token expired")
        try:
            yield
        finally:
            timer.cancel()

    def revoke(self, reason: str) -> None:
        """End at once: the client may no longer be here."""
        self.reason = reason
        self.subscription.end()

    def start_draining(self) -> None:
        """Send what waits, and end."""
        self.reason = "restarting"
        self.subscription.finish()

    def is_drained(self) -> bool:
        """Tell whether it must be told to end: it ends of itself."""
        return False

    def restart(self) -> None:
        """End now, as the gateway does."""
        self.revoke("restarting")

    async def frames(self, after: str | None) -> AsyncIterator[bytes]:
        """Yield what the client is sent: what followed the id `after`, then what is published."""
        # A proxy may hold the headers back until there is a body to go with them.
        yield b": open\n\n"
        if after:
            try:
                async for frame in self._feed.replay(after, until=self.subscription.start):
                    if self.subscription.ended:
                        return  # what waits must not follow half a replay
                    yield frame
                    self.sent += 1
                yield CAUGHT_UP
            except CannotResumeError as error:
                # With an id that is good, lest the client come back with the bad one.
                reason = json.dumps({"reason": error.reason})
                start = str(self.subscription.start)
                yield _encode(reason, event="reset", event_id=start)
            except EventLogError as error:
                # The headers are gone; the client comes back and asks again.
                logger.error("The event log failed", extra={"error": str(error)})
                self.reason = "log failed"
                return
        async for frame in self.subscription:
            yield frame
            self.sent += 1


def _encode(data: str, *, event: str, event_id: str) -> bytes:
    return ServerSentEvent(data, event=event, id=event_id, sep=_LINE_END).encode()
