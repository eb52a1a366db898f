"""The connection of one document to its server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .actions import Confirmed, Finished, Received, WebSocketAction
from .document_exchange import DocumentExchange
from .platform import Platform
from .replica import Replica
from .socket_client import SocketClient
from .socket_protocol import SocketProtocol
from .tokens import Token, TokenSource
from .urls import Url, UrlSource
from .websocket_options import WebSocketOptions


class DocumentConnection(SocketClient[SocketProtocol[DocumentExchange]]):
    """Keeps a replica in step with the server at `url`, through all that happens to a network.

    Tells `received` of updates that came, `confirmed` of how many more changes the server has, and
    `settled` whenever something may have changed. Its events are those of a `WebSocketClient`.
    Raises ConfigurationError if an option is wrong.
    """

    def __init__(
        self,
        url: Url,
        replica: Replica,
        limits: WebSocketOptions,
        *,
        token: Token,
        platform: Platform,
        received: Callable[[list[bytes]], None],
        confirmed: Callable[[int], None],
        settled: Callable[[], None],
    ) -> None:
        source, tokens = UrlSource(url, platform, websocket=True), TokenSource(token)
        protocol = SocketProtocol(
            limits,
            DocumentExchange(replica, high_water=limits.high_water),
            asks=bool(tokens) or bool(source),
            random=platform.random,
        )
        super().__init__(platform, source, tokens, protocol)
        self._received = received
        self._confirmed = confirmed
        self._tell_settled = settled

    @property
    def exchange(self) -> DocumentExchange:
        """What each side has of the other's."""
        return self._protocol.session

    def begin(self) -> None:
        """Connect, or try again, and go on trying; how that goes is told by events."""
        self._driver.run(self._protocol.connect(self._platform.now()))

    def changed(self, updates: Sequence[bytes], count: int) -> None:
        """Send updates, now or with all else when there is a connection; `count` are our own."""
        self._driver.run(self.exchange.changed(self._platform.now(), updates, count))

    def present(self, update: bytes) -> None:
        """Send an awareness update, now or never."""
        self._driver.run(self.exchange.present(update))

    def _settled(self) -> None:
        self._tell_settled()

    def _perform(self, action: WebSocketAction) -> None:
        match action:
            case Received(updates):
                self._received(updates)
            case Confirmed(count):
                self._confirmed(count)
            case Finished():
                pass
            case _:
                super()._perform(action)
