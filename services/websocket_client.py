"""A WebSocket that reconnects, resumes and resends."""

from __future__ import annotations

import asyncio
import itertools
import os
import weakref
from typing import Any, get_args

from . import options
from .actions import (
    Answered,
    Deliver,
    Finished,
    WebSocketAction,
)
from .close_codes import NORMAL_CLOSURE
from .connection_stats import ConnectionStats
from .describe import describe
from .emitter import Handler, Unsubscribe
from .errors import Disconnected, InvalidFrame, RealtimeError, RequestRejected
from .message_stream import MessageStream
from .messages import Id, Message
from .outbox import QueuePolicy
from .platform import Platform, default_platform
from .position import StoredPosition
from .socket_client import SocketClient, settle
from .tokens import Token, TokenSource
from .urls import Url, UrlSource
from .websocket_options import WebSocketOptions
from .websocket_protocol import WebSocketProtocol


class WebSocketClient(SocketClient[WebSocketProtocol]):
    """JSON messages over one WebSocket, for as long as the application wants it.

    `url` may be relative to the page, and is text or a provider (see ``urls``), as is `token`
    (see ``tokens``): it goes into the first frame, never into the URL. Times are in seconds:
    `reconnect_interval` and `reconnect_interval_max` bound the backoff, `heartbeat_interval` is
    between pings (None sends none), `heartbeat_timeout` is for their answers, `connect_timeout`
    for an attempt with its providers. After `max_reconnect_attempts` (None: never) it rests until
    the network or the page comes back, or somebody calls `connect`.

    `queue_limit` bounds what waits to be sent or acknowledged; `queue_policy` says what becomes
    of one message more: "raise" QueueFull, or "drop-oldest" or "drop-newest". While the browser
    holds more than `high_water` bytes that have not left it, messages are queued.
    `resume_after_reload` keeps the last id in the tab's session storage. `background` puts the
    socket into a worker: for streams so dense that the page's thread feels them.

    Besides the server's types, handlers may ask for `*` (whole messages) and for the lifecycle:
    `connected` {}, `disconnected` {code, reason}, `error` {error}, `reconnect-failed` {},
    `reset` {reason}: messages were missed, load the state again.

    Raises ConfigurationError if an option is wrong.
    """

    def __init__(
        self,
        url: Url,
        *,
        token: Token = None,
        reconnect_interval: float = 1,
        reconnect_interval_max: float = 30,
        heartbeat_interval: float | None = 30,
        heartbeat_timeout: float = 10,
        connect_timeout: float = 10,
        max_reconnect_attempts: int | None = 10,
        queue_limit: int = 1000,
        queue_policy: QueuePolicy = "raise",
        high_water: int = 1024 * 1024,
        resume_after_reload: bool = False,
        background: bool = False,
        platform: Platform | None = None,
    ) -> None:
        limits = WebSocketOptions(
            reconnect_interval=reconnect_interval,
            reconnect_interval_max=reconnect_interval_max,
            heartbeat_interval=heartbeat_interval,
            heartbeat_timeout=heartbeat_timeout,
            connect_timeout=connect_timeout,
            max_reconnect_attempts=max_reconnect_attempts,
            queue_limit=queue_limit,
            queue_policy=queue_policy,
            high_water=high_water,
        )
        real = platform or default_platform()
        source, tokens = UrlSource(url, real, websocket=True), TokenSource(token)
        # Unlike any other client's, since the server applies each id once.
        self._id_prefix = os.urandom(12).hex()
        self._id_numbers = itertools.count(1)
        protocol = WebSocketProtocol(
            limits,
            asks=bool(tokens) or bool(source),
            random=real.random,
            time_ms=real.time_ms,
            new_id=self._new_id,
        )
        super().__init__(real, source, tokens, protocol, background=background)
        self._position: StoredPosition | None = None
        if resume_after_reload:
            self._position = StoredPosition(self._platform)
        self._drainers: set[asyncio.Future[None]] = set()
        self._answers: dict[Id, asyncio.Future[Any]] = {}
        # Weak: a stream that nobody reads any more needs no closing.
        self._streams: weakref.WeakSet[MessageStream] = weakref.WeakSet()

    @property
    def stats(self) -> ConnectionStats:
        """The connection at this moment, in numbers."""
        session = self._protocol.session
        return ConnectionStats(
            state=self._protocol.state,
            attempts=self._protocol.attempts,
            last_close=self._protocol.last_close,
            received=session.received_count,
            sent=session.sent_count,
            queued=session.outbox.queued,
            unacknowledged=session.outbox.unacknowledged,
            buffered=self._attempt.buffered if self._attempt is not None else 0,
            dropped=session.outbox.dropped,
            round_trip=session.round_trip,
        )

    async def _connect(self) -> None:
        self._url_known()
        await super()._connect()

    def send(
        self, type: str, payload: Any, *, volatile: bool = False, reliable: bool = False
    ) -> None:
        """Send a message now, or queue it until there is a connection.

        One that was handed to a connection which then breaks may be lost, unless it is `reliable`:
        that one carries an id and is sent again until the server acknowledges it, as a request is;
        it wants a server that does. A `volatile` one is dropped if it cannot go out now.

        Raises InvalidFrame if `payload` cannot be JSON, QueueFull if too much waits already, and
        ValueError if it is to be both.
        """
        if volatile and reliable:
            raise ValueError("send: expected volatile or reliable, came both")
        message_id = self._new_id() if reliable else None
        message = Message(_checked(type), payload, self._platform.time_ms(), message_id)
        send = self._protocol.send_volatile if volatile else self._protocol.send
        self._driver.run(send(message))

    async def drain(self) -> None:
        """Wait until a sender may go on.

        That is when nothing is queued, and at most half of `queue_limit` waits for its `ack`.
        Raises Disconnected if the connection is closed for good meanwhile.
        """
        if self._protocol.session.is_drained:
            return
        drainer = asyncio.get_running_loop().create_future()
        self._drainers.add(drainer)
        try:
            await drainer
        finally:
            self._drainers.discard(drainer)

    def start_after(self, position: Id | None) -> None:
        """Let the next connection resume after the message of that id, as if it had come here."""
        self._protocol.session.history.forget(position)

    async def request(self, type: str, payload: Any, timeout: float = 10) -> Any:  # noqa: ASYNC109 - the contract's
        """Send a message that the server acknowledges, as often as it takes; return its result.

        Raises RequestTimeout after `timeout` seconds, RequestRejected if the server says no,
        Disconnected if the connection is closed for good, and what `send` raises.
        """
        now = self._platform.now()
        deadline = now + options.seconds("timeout", timeout)
        message_id = self._new_id()
        message = Message(_checked(type), payload, self._platform.time_ms(), message_id)
        answer = asyncio.get_running_loop().create_future()
        self._answers[message_id] = answer
        try:
            self._driver.run(self._protocol.send(message, deadline))
            return await answer
        finally:
            del self._answers[message_id]
            self._protocol.withdraw(message_id)
            self._driver.run(())  # there may be room now for who waits in `drain`

    def on(self, type: str, handler: Handler) -> Unsubscribe:
        """Call `handler`, plain or async, with the payload of every such message.

        Handlers of `*` get the whole message: a dict of type, payload, timestamp, id. Return
        what ends it.
        """
        return self._emitter.on(type, handler)

    def messages(
        self, *types: str, limit: int = 10_000, overflow: QueuePolicy = "drop-oldest"
    ) -> MessageStream:
        """Iterate over the messages of these types, or of all, from now on.

        They are dicts as for `*`. The iteration survives reconnections and ends at
        `disconnect`; if the server refuses the client it raises Disconnected. A reader more than
        `limit` messages behind loses the oldest, or the newest, which `error` tells; or with
        `overflow="raise"` it gets QueueFull, after those that came before.

        Raises ConfigurationError if an option is wrong.
        """
        options.count("limit", limit, at_least=1)
        options.choice("overflow", overflow, get_args(QueuePolicy))
        stream = MessageStream(frozenset(types), limit, overflow, self._overflowed)
        self._streams.add(stream)
        return stream

    def _new_id(self) -> str:
        return f"{self._id_prefix}-{next(self._id_numbers)}"

    def _overflowed(self) -> None:
        self._emitter.emit("error", {"error": "messages(): a slow reader loses some"})

    def _url_known(self) -> None:
        # Before the first attempt, or as soon as its provider has said where it leads.
        if self._position is not None and not self._position.is_loaded and self._url.current:
            self._protocol.session.history.last = self._position.load(self._url.current)

    def _settled(self) -> None:
        if self._position is not None:
            self._position.keep(self._protocol.session.history.last)
        if self._drainers and self._protocol.session.is_drained:
            for drainer in tuple(self._drainers):
                settle(drainer, None, None)

    def _perform(self, action: WebSocketAction) -> None:
        match action:
            case Deliver(messages):
                self._deliver(messages)
            case Answered(message_id, result, error):
                if (answer := self._answers.get(message_id)) is not None:
                    settle(answer, result, error)
                elif isinstance(error, RequestRejected):
                    self._emitter.emit("error", {"error": str(error)})
            case Finished(error):
                self._finish(error)
            case _:
                super()._perform(action)

    def _deliver(self, messages: list[Message]) -> None:
        emit = self._emitter.emit
        for message in messages:
            emit(message.type, message.payload)
            if self._emitter.has("*"):
                emit("*", message.as_dict())
            if self._streams:
                for stream in tuple(self._streams):
                    stream.push(message)

    def _finish(self, error: RealtimeError | None) -> None:
        for stream in tuple(self._streams):
            stream.finish(error)
        self._streams.clear()
        for drainer in tuple(self._drainers):
            settle(drainer, None, error or Disconnected(NORMAL_CLOSURE))


def _checked(type_: object) -> str:
    if isinstance(type_, str) and type_:
        return type_
    raise InvalidFrame(f"type: expected text, came {describe(type_)}")
