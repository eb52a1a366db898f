"""`GET /api/events`: activities, as Server-Sent Events (WHATWG HTML §9.2)."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from server.event_log import Event
from server.hub import CannotResumeError, Feed, Subscription

logger = logging.getLogger(__name__)

#: Seconds a stream has to end of itself when the gateway stops.
_FAREWELL = 1

_LINE_END = "\n"


def encode_event(event: Event) -> bytes:
    """Return the bytes that carry an event of the log: one event, its data on one line."""
    data = json.dumps(event.payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _encode(data, event=event.type, event_id=str(event.id))


class EventStreamEndpoint:
    """Serves a feed as event streams, with a comment every `comment_interval` seconds."""

    def __init__(self, feed: Feed[bytes], *, comment_interval: float) -> None:
        self._feed = feed
        self._comment_interval = comment_interval

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream from its request to its end."""
        request = Request(scope, receive)
        # The header wins: a browser that reconnects sends it along with the URL it began with.
        after = request.headers.get("last-event-id") or request.query_params.get("lastEventId")
        stopping = anyio.Event()
        with self._feed.subscribe() as subscription:

            async def end_when_stopping() -> None:
                await stopping.wait()
                subscription.end()

            # A client that has no id yet learns where it stands, so that it can resume from there
            # before it got any event. In the body, an id alone would be an event to some parsers.
            response = EventSourceResponse(
                self._frames(subscription, after),
                headers={} if after else {"Last-Event-ID": str(subscription.start)},
                sep=_LINE_END,
                ping=self._comment_interval,
                ping_message_factory=lambda: ServerSentEvent(comment="", sep=_LINE_END),
                data_sender_callable=end_when_stopping,
                shutdown_event=stopping,
                shutdown_grace_period=_FAREWELL,
            )
            await response(scope, receive, send)
        if subscription.overrun:
            logger.info("Ended an event stream whose client was too slow")

    async def _frames(
        self, subscription: Subscription[bytes], after: str | None
    ) -> AsyncIterator[bytes]:
        # A proxy may hold the headers back until there is a body to go with them.
        yield b": open\n\n"
        if after:
            try:
                async for frame in self._feed.replay(after, until=subscription.start):
                    yield frame
            except CannotResumeError as error:
                # With an id that is good, lest the client come back with the bad one.
                reason = json.dumps({"reason": error.reason})
                yield _encode(reason, event="reset", event_id=str(subscription.start))
        async for frame in subscription:
            yield frame


def _encode(data: str, *, event: str, event_id: str) -> bytes:
    return ServerSentEvent(data, event=event, id=event_id, sep=_LINE_END).encode()
