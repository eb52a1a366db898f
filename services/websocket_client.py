"""A WebSocket that reconnects, resumes and resends."""

from __future__ import annotations

import asyncio
import itertools
import os
import weakref
from typing import Any

from . import options
from .actions import (
    Answered,
    AskToken,
    Attempted,
    Close,
    Deliver,
    Emit,
    Finished,
    OpenSocket,
    Send,
    WebSocketAction,
)
from .close_codes import ABNORMAL_CLOSURE
from .describe import describe
from .driver import Driver
from .emitter import Emitter, Handler, Unsubscribe
from .errors import ConfigurationError, InvalidFrame, RealtimeError
from .message_stream import MessageStream
from .messages import Id, Message
from .platform import Platform, Socket, default_platform
from .tasks import Tasks
from .tokens import Token, TokenSource
from .websocket_options import WebSocketOptions
from .websocket_protocol import State, WebSocketProtocol


class WebSocketClient:
    """JSON messages over one WebSocket, for as long as the application wants it.

    `url` may be relative to the page. `token` is text or a provider (see ``tokens``); it goes
    into the first frame, never into the URL. Times are in seconds: `reconnect_interval` and
    `reconnect_interval_max` bound the backoff, `heartbeat_interval` is between pings (None sends
    none), `heartbeat_timeout` is for their answers, `connect_timeout` for an attempt with its
    token. After `max_reconnect_attempts` (None: never) it rests until the network or the page
    comes back, or somebody calls `connect`. `queue_limit` bounds what waits to be sent or
    acknowledged, and what waits for a reader of `messages`.

    Besides the server's types, handlers may ask for `*` (whole messages) and for the lifecycle:
    `connected` {}, `disconnected` {code, reason}, `error` {error}, `reconnect-failed` {},
    `reset` {reason}: messages were missed, load the state again.

    Raises ConfigurationError if an option is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        reconnect_interval: float = 1,
        reconnect_interval_max: float = 30,
        heartbeat_interval: float | None = 30,
        heartbeat_timeout: float = 10,
        connect_timeout: float = 10,
        max_reconnect_attempts: int | None = 10,
        queue_limit: int = 1000,
        platform: Platform | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(f"url: expected text, came {describe(url)}")
        limits = WebSocketOptions(
            reconnect_interval=reconnect_interval,
            reconnect_interval_max=reconnect_interval_max,
            heartbeat_interval=heartbeat_interval,
            heartbeat_timeout=heartbeat_timeout,
            connect_timeout=connect_timeout,
            max_reconnect_attempts=max_reconnect_attempts,
            queue_limit=queue_limit,
        )
        self._platform = platform or default_platform()
        self._queue_limit = limits.queue_limit
        # Unlike any other client's, since the server applies each id once.
        self._id_prefix = os.urandom(12).hex()
        self._id_numbers = itertools.count(1)
        self._url = self._platform.resolve(url, websocket=True)
        self._tokens = TokenSource(token)
        self._protocol = WebSocketProtocol(
            limits,
            authenticates=bool(self._tokens),
            random=self._platform.random,
            time_ms=self._platform.time_ms,
            new_id=self._new_id,
        )
        self._driver: Driver[WebSocketAction] = Driver(
            self._platform, self._protocol, self._perform
        )
        self._emitter = Emitter(self._platform.report)
        self._tasks = Tasks(self._platform.report)
        self._link: _Link | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._answers: dict[Id, asyncio.Future[Any]] = {}
        # Weak: a stream that nobody reads any more needs no closing.
        self._streams: weakref.WeakSet[MessageStream] = weakref.WeakSet()

    @property
    def state(self) -> State:
        """One of closed, authorizing, connecting, open, waiting, failed, refused."""
        return self._protocol.state

    @property
    def is_connected(self) -> bool:
        """Whether messages go out at once."""
        return self._protocol.state is State.OPEN

    @property
    def last_close(self) -> tuple[int, str] | None:
        """Code and reason of the last close, or None before the first."""
        return self._protocol.last_close

    @property
    def attempts(self) -> int:
        """Reconnections counted since the last healthy connection."""
        return self._protocol.attempts

    async def connect(self) -> None:
        """Return once connected. Everyone who waits shares one attempt.

        Raises ConnectionFailed or ConnectTimeout when the attempt fails, while further attempts
        go on in the background, and Disconnected if `disconnect` is called meanwhile.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            self._driver.run(self._protocol.connect(self._platform.now()))
            await waiter
        finally:
            self._waiters.discard(waiter)

    def disconnect(self) -> None:
        """Close with 1000; forget what waits to be sent; cancel async handlers that still run.

        Those who wait get Disconnected. `connect` starts again, with the same handlers.
        """
        self._emitter.cancel()
        self._driver.run(self._protocol.disconnect(self._platform.now()))

    def send(self, type: str, payload: Any) -> None:
        """Send a message now, or queue it until there is a connection.

        Raises InvalidFrame if `payload` cannot be JSON, QueueFull if too much waits already.
        """
        message = Message(_checked(type), payload, self._platform.time_ms())
        self._driver.run(self._protocol.send(message))

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

    def on(self, type: str, handler: Handler) -> Unsubscribe:
        """Call `handler`, plain or async, with the payload of every such message.

        Handlers of `*` get the whole message: a dict of type, payload, timestamp, id. Return
        what ends it.
        """
        return self._emitter.on(type, handler)

    def messages(self, *types: str) -> MessageStream:
        """Iterate over the messages of these types, or of all, from now on.

        They are dicts as for `*`. The iteration survives reconnections and ends at
        `disconnect`; if the server refuses the client it raises Disconnected. A reader more than
        `queue_limit` messages behind loses the oldest, which `error` tells.
        """
        stream = MessageStream(frozenset(types), max(1, self._queue_limit), self._overflowed)
        self._streams.add(stream)
        return stream

    def _new_id(self) -> str:
        return f"{self._id_prefix}-{next(self._id_numbers)}"

    def _overflowed(self) -> None:
        self._emitter.emit("error", {"error": "messages(): a slow reader loses the oldest"})

    def _perform(self, action: WebSocketAction) -> None:
        match action:
            case Deliver(message):
                self._emitter.emit(message.type, message.payload)
                self._emitter.emit("*", message.as_dict())
                for stream in tuple(self._streams):
                    stream.push(message)
            case Emit(type_, payload):
                self._emitter.emit(type_, payload)
            case Send(text):
                if self._link is not None:
                    self._link.send(text)
            case AskToken():
                self._link = _Link(self)
                self._link.asking = self._tasks.spawn(self._ask_token(self._link))
            case OpenSocket():
                self._link = _Link(self)
                self._link.open(self._url)
            case Close(code, reason):
                if self._link is not None:
                    self._link.close(code, reason)
            case Attempted(error):
                for waiter in tuple(self._waiters):
                    _settle(waiter, None, error)
            case Answered(message_id, result, error):
                if (answer := self._answers.get(message_id)) is not None:
                    _settle(answer, result, error)
            case Finished(error):
                for stream in tuple(self._streams):
                    stream.finish(error)
                self._streams.clear()

    async def _ask_token(self, link: _Link) -> None:
        try:
            token = await self._tokens.get()
        except RealtimeError as error:
            if link is self._link:
                now = self._platform.now()
                self._driver.run(self._protocol.token_failed(now, error))
        else:
            if link is self._link:
                now = self._platform.now()
                self._driver.run(self._protocol.token_received(now, token))


class _Link:
    """One attempt: its token being asked for, or its socket. Once replaced it is deaf."""

    def __init__(self, client: WebSocketClient) -> None:
        self._client = client
        self._socket: Socket | None = None
        self.asking: asyncio.Future[Any] | None = None

    def open(self, url: str) -> None:
        client = self._client
        try:
            self._socket = client._platform.open_websocket(url, self)
        except Exception as error:
            self.closed(ABNORMAL_CLOSURE, str(error))

    def send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.send(text)

    def close(self, code: int, reason: str) -> None:
        self._client._link = None
        if self.asking is not None:
            self.asking.cancel()
        if self._socket is not None:
            self._socket.close(code, reason)

    def opened(self) -> None:
        client = self._client
        if client._link is self:
            client._driver.run(client._protocol.opened(client._platform.now()))

    def received(self, frame: str | bytes) -> None:
        client = self._client
        if client._link is self:
            client._driver.run(client._protocol.received(client._platform.now(), frame))

    def closed(self, code: int, reason: str) -> None:
        client = self._client
        if client._link is self:
            client._link = None
            client._driver.run(client._protocol.closed(client._platform.now(), code, reason))


def _checked(type_: object) -> str:
    if isinstance(type_, str) and type_:
        return type_
    raise InvalidFrame(f"type: expected text, came {describe(type_)}")


def _settle(future: asyncio.Future[Any], result: object, error: RealtimeError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
