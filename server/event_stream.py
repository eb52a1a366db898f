"""`GET /api/events`: activities, as Server-Sent Events (WHATWG HTML §9.2).

And what all event streams have in common: `Stream` and `StreamEndpoint`.
"""

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
    return encode(data, event=event.type, event_id=str(event.id))


def encode_reset(reason: str, position: int) -> bytes:
    """Return the event that tells a client to load its state anew, and where the stream goes on."""
    # With an id that is good, lest the client come back with the bad one.
    return encode(json.dumps({"reason": reason}), event="reset", event_id=str(position))


def last_event_id(request: Request) -> str | None:
    """Return the id that a client wants to go on from; none, or an empty one, if it has none."""
    # The header wins: a browser that reconnects sends it along with the URL it began with.
    return request.headers.get("last-event-id") or request.query_params.get("lastEventId")


def encode(data: str, *, event: str, event_id: str) -> bytes:
    """Return the bytes of one event."""
    return ServerSentEvent(data, event=event, id=event_id, sep=_LINE_END).encode()


class Stream:
    """One client's stream. What it is sent, and how it is ended, a subclass says."""

    def __init__(self, identity: Identity | None) -> None:
        self.identity = identity
        #: Events so far.
        self.sent = 0
        #: Why the gateway ended it; empty if the client did.
        self.reason = ""

    @property
    def user(self) -> str | None:
        """The name of its user."""
        return self.identity.session.user_name if self.identity else None

    @property
    def overrun(self) -> bool:
        """Whether it ended because too much waited for the client."""
        return False

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
        raise NotImplementedError

    def start_draining(self) -> None:
        """Send what waits, and end."""
        raise NotImplementedError

    def is_drained(self) -> bool:
        """Tell whether it must be told to end: it ends of itself."""
        return False

    def restart(self) -> None:
        """End now, as the gateway does."""
        self.revoke("restarting")


class StreamEndpoint:
    """Serves streams, with a comment every `comment_interval` seconds."""

    #: What they count as.
    kind = "event-stream"

    def __init__(
        self, *, connections: Connections, metrics: Metrics, comment_interval: float
    ) -> None:
        self._connections = connections
        self._metrics = metrics
        self._comment_interval = comment_interval

    async def serve(
        self,
        stream: Stream,
        frames: AsyncIterator[bytes],
        start: int | None,
        request: Request,
        send: Send,
    ) -> None:
        """Serve `frames` until the stream's end.

        `start` is for a client that has no id yet: it learns where it stands, so that it can resume
        from there before it got any event.
        """
        # In the body, an id alone would be an event to some parsers.
        response = EventSourceResponse(
            frames,
            headers={} if start is None else {"Last-Event-ID": str(start)},
            sep=_LINE_END,
            ping=self._comment_interval,
            ping_message_factory=lambda: ServerSentEvent(comment="", sep=_LINE_END),
            shutdown_grace_period=_FAREWELL,
        )
        if request.method == "HEAD":
            await response(request.scope, request.receive, send)
            return
        client = ":".join(map(str, request.client or ()))
        opened = {"client": client, "user": stream.user, "path": request.url.path}
        self._metrics.connections[self.kind].inc()
        logger.info("Event stream opened", extra=opened)
        started = time.monotonic()
        try:
            with self._connections.joined(stream), stream.expiring():
                await response(request.scope, request.receive, send)
        finally:
            if stream.overrun:
                self._metrics.slow_clients[self.kind].inc()
                stream.reason = "too slow"
            outcome = {
                **opened,
                "reason": stream.reason,
                "seconds": round(time.monotonic() - started, 3),
                "sent": stream.sent,
            }
            logger.info("Event stream closed", extra=outcome)


class EventStreamEndpoint(StreamEndpoint):
    """Serves a feed as event streams."""

    def __init__(
        self,
        feed: Feed[bytes],
        *,
        connections: Connections,
        metrics: Metrics,
        comment_interval: float,
    ) -> None:
        super().__init__(
            connections=connections, metrics=metrics, comment_interval=comment_interval
        )
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream of the feed from its request to its end."""
        request = Request(scope, receive)
        after = last_event_id(request)
        with self._feed.subscribe() as subscription:
            stream = EventStream(self._feed, subscription, scope["state"].get(IDENTITY))
            start = None if after else subscription.start
            await self.serve(stream, stream.frames(after), start, request, send)


class EventStream(Stream):
    """One client's stream of a feed."""

    def __init__(
        self,
        feed: Feed[bytes],
        subscription: Subscription[bytes],
        identity: Identity | None,
    ) -> None:
        super().__init__(identity)
        self._feed = feed
        self.subscription = subscription

    @property
    def overrun(self) -> bool:
        """Whether it ended because too much waited for the client."""
        return self.subscription.overrun

    def revoke(self, reason: str) -> None:
        """End at once: the client may no longer be here."""
        self.reason = reason
        self.subscription.end()

    def start_draining(self) -> None:
        """Send what waits, and end."""
        self.reason = "restarting"
        self.subscription.finish()

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
                yield encode_reset(error.reason, self.subscription.start)
            except EventLogError as error:
                # The headers are gone; the client comes back and asks again.
                logger.error("The event log failed", extra={"error": str(error)})
                self.reason = "log failed"
                return
        async for frame in self.subscription:
            yield frame
            self.sent += 1
