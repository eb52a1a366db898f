"""What all clients of WebSockets have in common: the shell around a `SocketProtocol`."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, Self, TypeVar

from .actions import (
    AskProviders,
    Attempted,
    Close,
    Emit,
    Measure,
    OpenSocket,
    Send,
    WebSocketAction,
)
from .connecting import Connecting
from .driver import Driver
from .emitter import Emitter, Handler, Unsubscribe
from .errors import RealtimeError
from .platform import Platform
from .socket_attempt import SocketAttempt
from .socket_protocol import SocketProtocol, State
from .tasks import Tasks
from .tokens import TokenSource
from .urls import UrlSource

ProtocolT = TypeVar("ProtocolT", bound=SocketProtocol[Any])


class SocketClient(Generic[ProtocolT]):
    """Keeps one WebSocket, for as long as the application wants it."""

    def __init__(
        self,
        platform: Platform,
        url: UrlSource,
        tokens: TokenSource,
        protocol: ProtocolT,
        *,
        background: bool = False,
    ) -> None:
        self._platform = platform
        self._url = url
        self._tokens = tokens
        self._protocol = protocol
        self._background = background
        self._driver: Driver[WebSocketAction] = Driver(
            platform, protocol, self._perform, self._settled
        )
        self._emitter = Emitter(platform.report)
        self._tasks = Tasks(platform.report)
        self._attempt: SocketAttempt | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def state(self) -> State:
        """One of closed, authorizing, connecting, open, waiting, failed, refused."""
        return self._protocol.state

    @property
    def is_connected(self) -> bool:
        """Whether messages go out at once."""
        return self._protocol.state is State.OPEN

    @property
    def last_close(self) -> tuple[int | None, str] | None:
        """Code (None where an attempt got no answer) and reason of the last close."""
        return self._protocol.last_close

    @property
    def attempts(self) -> int:
        """Reconnections counted since the last healthy connection."""
        return self._protocol.attempts

    def connect(self) -> Connecting[Self]:
        """Return once connected. Everyone who waits shares one attempt.

        `await` it, or use it as `async with client.connect():`, which disconnects at the end, also
        where it raises. Raises ConnectionFailed or ConnectTimeout when the attempt fails, while
        further attempts go on in the background (not so in `async with`), and Disconnected if
        `disconnect` is called meanwhile.
        """
        return Connecting(self._connect(), self)

    async def _connect(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            self._driver.run(self._protocol.connect(self._platform.now()))
            await waiter
        finally:
            self._waiters.discard(waiter)

    def disconnect(self) -> None:
        """Close with 1000; forget what waits to be sent; cancel async handlers that still run.

        Those who wait get Disconnected. `connect` starts again, with the same handlers. From a
        handler: what arrived together with its message is still handed on.
        """
        self._emitter.cancel()
        self._driver.run(self._protocol.disconnect(self._platform.now()))

    async def authenticate(self) -> None:
        """Ask for the token again, and tell it the server: ahead of the end of the last one.

        Does nothing unless connected. Raises ConnectionFailed if the provider does not deliver.
        """
        if self.is_connected and (token := await self._tokens.get()) is not None:
            self._driver.run(self._protocol.authenticate(token))

    def ping(self) -> None:
        """Measure the round trip now, if connected; `stats` has it when the answer is there."""
        self._driver.run(self._protocol.ping(self._platform.now()))

    def pause(self, reason: str = "paused") -> None:
        """Drop the connection, as if there were no network, until `unpause`.

        What waits to be sent is kept, and what is missed meanwhile is resumed.
        """
        self._driver.run(self._protocol.pause(self._platform.now(), reason))

    @property
    def is_paused(self) -> bool:
        """Whether `pause` keeps it from connecting."""
        return self._protocol.is_paused

    def unpause(self) -> None:
        """Connect again, unless the client was closed."""
        self._driver.run(self._protocol.unpause(self._platform.now()))

    def on(self, type: str, handler: Handler) -> Unsubscribe:
        """Call `handler`, plain or async, for every such event; return what ends it."""
        return self._emitter.on(type, handler)

    def _new_attempt(self) -> SocketAttempt:
        return SocketAttempt(
            self._platform, self._driver, self._protocol, background=self._background
        )

    def _url_known(self) -> None:
        """Hear where the next attempt leads, after its provider was asked."""

    def _settled(self) -> None:
        """Hear that all actions have been carried out."""

    def _perform(self, action: WebSocketAction) -> None:
        match action:
            case Send(frame):
                if self._attempt is not None:
                    self._attempt.send(frame)
            case Measure():
                if self._attempt is not None:
                    self._attempt.measure()
            case Emit(type_, payload):
                self._emitter.emit(type_, payload)
            case AskProviders(refused):
                if refused:
                    self._tokens.refused()
                self._attempt = self._new_attempt()
                self._attempt.ask(
                    self._protocol, self._url, self._tokens, self._tasks, self._url_known
                )
            case OpenSocket(announce):
                url = self._url.current
                if announce:
                    url += ("&" if "?" in url else "?") + "resume=1"
                self._attempt = self._new_attempt()
                self._attempt.open(url)
            case Close(code, reason):
                if self._attempt is not None:
                    self._attempt.close(code, reason)
            case Attempted(error):
                for waiter in tuple(self._waiters):
                    settle(waiter, None, error)


def settle(future: asyncio.Future[Any], result: object, error: RealtimeError | None) -> None:
    """End the wait for `future`, unless that has ended."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
