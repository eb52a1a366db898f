"""`/ws`: notifications, over a WebSocket. docs/protocol.md describes every frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Collection
from typing import Any, NamedTuple

from starlette.responses import PlainTextResponse
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from server import origins
from server.clock import now
from server.event_log import Event
from server.hub import CannotResumeError, Feed, Subscription
from server.validation import parse_json

logger = logging.getLogger(__name__)

#: The largest frame a client may send, in bytes.
MAX_FRAME = 1024 * 1024

#: Seconds that live events wait for a client's `resume`, so that what it missed comes first.
RESUME_WINDOW = 0.5

# Close codes: RFC 6455 §7.4.1, the IANA registry, and 4000–4999 for private use (§7.4.2).
MESSAGE_TOO_BIG = 1009
TRY_AGAIN_LATER = 1013
BAD_FRAME = 4400


class BadFrameError(Exception):
    """A client's frame is not one of this protocol: the connection is closed for it."""

    def __init__(self, reason: str, code: int = BAD_FRAME) -> None:
        # A close frame has room for 123 bytes of reason (RFC 6455 §5.5); ours are ASCII.
        super().__init__(reason[:123])
        self.code = code


class ClientFrame(NamedTuple):
    """A well-formed frame from a client."""

    type: str
    payload: Any
    id: str | int | None


def parse(message: Message) -> ClientFrame:
    """Read an ASGI `websocket.receive` message; raises `BadFrameError`."""
    text = message.get("text")
    if text is None:
        raise BadFrameError("expected a text frame, got a binary one")
    # uvicorn's own limit is larger (see __main__). No text has fewer bytes than characters.
    if len(text) > MAX_FRAME or len(text.encode()) > MAX_FRAME:
        raise BadFrameError(f"expected at most {MAX_FRAME} bytes", MESSAGE_TOO_BIG)
    try:
        frame = parse_json(text)
    except ValueError:
        raise BadFrameError("expected a JSON object, got text that is not JSON") from None
    if not isinstance(frame, dict):
        raise BadFrameError("expected a JSON object, got another JSON value")
    kind, frame_id = frame.get("type"), frame.get("id")
    if not isinstance(kind, str):
        raise BadFrameError('expected a string as "type"')
    if not _is_id(frame_id):
        raise BadFrameError('expected a string of at most 200 characters as "id"')
    return ClientFrame(kind, frame.get("payload"), frame_id)


def encode(
    kind: str, payload: Any, *, timestamp: int | None = None, event_id: str | None = None
) -> str:
    """Return a server frame, stamped with the present time unless it has one."""
    frame = {"type": kind, "payload": payload, "timestamp": timestamp or now()}
    if event_id is not None:
        frame["id"] = event_id
    return json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_event(event: Event) -> str:
    """Return the frame that carries an event of the log."""
    return encode(event.type, event.payload, timestamp=event.timestamp, event_id=str(event.id))


class WebSocketEndpoint:
    """Accepts connections to a feed, from the gateway's own origin and `allowed_origins`."""

    def __init__(self, feed: Feed[str], *, allowed_origins: Collection[str]) -> None:
        self._feed = feed
        self._allowed_origins = allowed_origins

    async def connect(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        if not origins.is_allowed(websocket.headers, self._allowed_origins):
            logger.warning("Refused a WebSocket from another origin")
            await websocket.send_denial_response(PlainTextResponse("Forbidden origin", 403))
            return
        # Subscribed before accepting: a client that knows it is connected misses nothing.
        with self._feed.subscribe() as subscription:
            await websocket.accept()
            await Connection(websocket, self._feed, subscription).run()


class Connection:
    """One accepted WebSocket: a task that sends events, and a loop that answers frames."""

    def __init__(
        self, websocket: WebSocket, feed: Feed[str], subscription: Subscription[str]
    ) -> None:
        self._websocket = websocket
        self._feed = feed
        self._subscription = subscription
        self._first_frame = asyncio.Event()
        # Held while events are sent, so that a replay is one uninterrupted run.
        self._turn = asyncio.Lock()
        self._resumed = False

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                delivery = tasks.create_task(self._deliver())
                await self._answer()
                delivery.cancel()
        except* (WebSocketDisconnect, WebSocketDisconnected):
            # The client went while it was being sent something, or we have just closed.
            pass

    async def _deliver(self) -> None:
        """Send the events published since the connection was made."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_frame.wait(), RESUME_WINDOW)
        async for frame in self._subscription:
            async with self._turn:
                await self._websocket.send_text(frame)
        if self._subscription.overrun:
            logger.info("Closed a WebSocket whose client was too slow")
            await self._websocket.close(TRY_AGAIN_LATER, "too slow: too many events are waiting")

    async def _answer(self) -> None:
        """Answer the client's frames, until it goes or sends one that is none."""
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            try:
                frame = parse(message)
            except BadFrameError as error:
                logger.info("Closed a WebSocket: %s", error)
                await self._websocket.close(error.code, str(error))
                return
            await self._handle(frame)

    async def _handle(self, frame: ClientFrame) -> None:
        match frame.type:
            case "ping":
                await self._send("pong", {})
                await self._acknowledge(frame)
            case "resume" if self._resumed:
                await self._reject(frame, "already resumed: one resume per connection")
            case "resume":
                self._resumed = True
                await self._resume(frame)
            case _:
                await self._reject(frame, f"unknown type {frame.type[:40]!r}")
        if frame.type != "auth":
            # A token comes before `resume`, and must not let live events overtake a replay.
            self._first_frame.set()

    async def _resume(self, frame: ClientFrame) -> None:
        """Send what the client missed, or tell it that this is not possible.

        Live events wait meanwhile. A client that resumes after its window may have been sent
        some already; what it missed then follows them, so it still gets everything once.
        """
        after = _resume_point(frame.payload)
        start = self._subscription.start
        async with self._turn:
            try:
                if after is not None:
                    async for missed in self._feed.replay(after, until=start):
                        await self._websocket.send_text(missed)
            except CannotResumeError as error:
                await self._send("reset", {"reason": error.reason, "after": str(start)})
            await self._acknowledge(frame, {"after": str(start)})

    async def _acknowledge(self, frame: ClientFrame, result: Any = None) -> None:
        if frame.id is not None:
            payload = {"id": frame.id}
            await self._send("ack", payload if result is None else payload | {"result": result})

    async def _reject(self, frame: ClientFrame, error: str) -> None:
        if frame.id is not None:
            await self._send("nack", {"id": frame.id, "error": error})

    async def _send(self, kind: str, payload: Any) -> None:
        await self._websocket.send_text(encode(kind, payload))


def _resume_point(payload: Any) -> str | None:
    """Return the id that a `resume` names: None for now, and "", which is no id, for nonsense."""
    after = payload.get("after") if isinstance(payload, dict) else payload
    if after is None:
        return None
    return after if isinstance(after, str) and isinstance(payload, dict) else ""


def _is_id(value: object) -> bool:
    """Tell whether a client may call a frame so: it has to come back unchanged."""
    if isinstance(value, str):
        # A lone surrogate cannot be sent back.
        return len(value) <= 200 and not any("\ud800" <= c <= "\udfff" for c in value)
    # Beyond 2**53 JavaScript's numbers are no longer exact.
    return value is None or (type(value) is int and abs(value) <= 2**53)
