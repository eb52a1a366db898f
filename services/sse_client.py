"""Server-Sent Events that reconnect, resume, and say truly whether they are connected."""

from __future__ import annotations

import asyncio
from typing import Any

from . import options
from .actions import AskToken, Close, DeliverEvent, Emit, OpenStream, SSEAction
from .backoff import Backoff
from .describe import describe
from .driver import Driver
from .emitter import Emitter, Handler, Unsubscribe
from .errors import ConfigurationError, RealtimeError
from .platform import Cancel, Platform, default_platform
from .sse_protocol import SSEProtocol, State
from .tasks import Tasks
from .tokens import Token, TokenSource


class SSEClient:
    """Named events from one URL, for as long as the application wants them.

    `url` may be relative to the page; `with_credentials` sends cookies to other origins too.
    `token` is text or a provider (see ``tokens``) for an Authorization header. Times are in
    seconds: `reconnect_interval` and `reconnect_interval_max` bound the backoff, and a stream on
    which nothing came for `stall_timeout`, not even a comment, is opened again.

    Besides the server's events, handlers may ask for the lifecycle: `connected` {},
    `disconnected` {reason}, `error` {error, status}, `reset` {reason}: events were missed, load
    the state again. 204, and a 4xx other than 401, 408 and 429, end it.

    Raises ConfigurationError if an option is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        with_credentials: bool = True,
        token: Token = None,
        reconnect_interval: float = 1,
        reconnect_interval_max: float = 30,
        stall_timeout: float = 45,
        platform: Platform | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(f"url: expected text, came {describe(url)}")
        base, cap = options.interval_range(reconnect_interval, reconnect_interval_max)
        stall_timeout = options.seconds("stall_timeout", stall_timeout)
        self._platform = platform or default_platform()
        self._url = self._platform.resolve(url)
        self._with_credentials = with_credentials
        self._tokens = TokenSource(token)
        self._protocol = SSEProtocol(
            Backoff(base, cap, self._platform.random),
            stall_timeout=stall_timeout,
            authenticates=bool(self._tokens),
        )
        self._driver: Driver[SSEAction] = Driver(self._platform, self._protocol, self._perform)
        self._emitter = Emitter(self._platform.report)
        self._tasks = Tasks(self._platform.report)
        self._link: _Link | None = None

    @property
    def state(self) -> State:
        """One of closed, authorizing, connecting, open, waiting, ended."""
        return self._protocol.state

    @property
    def is_connected(self) -> bool:
        """Whether events can arrive."""
        return self._protocol.state is State.OPEN

    @property
    def last_event_id(self) -> str:
        """The last id the server sent, or "": where a new stream goes on."""
        return self._protocol.last_event_id

    @property
    def attempts(self) -> int:
        """Reconnections counted since the last healthy stream."""
        return self._protocol.attempts

    def connect(self) -> None:
        """Open the stream, now or with the next of the attempts; `connected` tells when.

        Does nothing when it is open, or being opened.
        """
        self._driver.run(self._protocol.connect(self._platform.now()))

    def disconnect(self) -> None:
        """Close the stream and cancel async handlers that still run. Handlers stay registered."""
        self._emitter.cancel()
        self._driver.run(self._protocol.disconnect(self._platform.now()))

    def on(self, event: str, handler: Handler) -> Unsubscribe:
        """Call `handler`, plain or async, with the data of every such event.

        Data is parsed where it is JSON, and text otherwise. Events without a name are `message`.
        Return what ends it.
        """
        return self._emitter.on(event, handler)

    def _perform(self, action: SSEAction) -> None:
        match action:
            case DeliverEvent(event, data):
                self._emitter.emit(event, data)
            case Emit(type_, payload):
                self._emitter.emit(type_, payload)
            case AskToken():
                self._link = _Link(self)
                self._link.asking = self._tasks.spawn(self._ask_token(self._link))
            case OpenStream(last_event_id, token):
                self._link = _Link(self)
                self._link.open(last_event_id, token)
            case Close():
                if self._link is not None:
                    self._link.close()

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
    """One attempt: its token being asked for, or its stream. Once replaced it is deaf."""

    def __init__(self, client: SSEClient) -> None:
        self._client = client
        self._cancel: Cancel | None = None
        self.asking: asyncio.Future[Any] | None = None

    def open(self, last_event_id: str, token: str | None) -> None:
        client = self._client
        try:
            self._cancel = client._platform.open_event_stream(
                client._url,
                self,
                with_credentials=client._with_credentials,
                last_event_id=last_event_id,
                token=token,
            )
        except Exception as error:
            self.closed(None, str(error), None)

    def close(self) -> None:
        self._client._link = None
        if self.asking is not None:
            self.asking.cancel()
        if self._cancel is not None:
            self._cancel()

    def opened(self, position: str) -> None:
        client = self._client
        if client._link is self:
            client._driver.run(client._protocol.opened(client._platform.now(), position))

    def alive(self) -> None:
        client = self._client
        if client._link is self:
            client._driver.run(client._protocol.alive(client._platform.now()))

    def received(self, event: str, data: str, last_event_id: str) -> None:
        client = self._client
        if client._link is self:
            now = client._platform.now()
            client._driver.run(client._protocol.received(now, event, data, last_event_id))

    def closed(self, status: int | None, reason: str, retry_after: float | None) -> None:
        client = self._client
        if client._link is self:
            client._link = None
            now = client._platform.now()
            client._driver.run(client._protocol.closed(now, status, reason, retry_after))
