"""One attempt to connect a WebSocket, and the socket that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .actions import WebSocketAction
from .attempt import Attempt
from .close_codes import ABNORMAL_CLOSURE
from .driver import Driver
from .platform import Frame, Platform, Socket
from .socket_protocol import SocketProtocol, State

LONGEST_REASON = 123


class SocketAttempt(Attempt[WebSocketAction]):
    """Tells the protocol what its socket tells, and hands the socket what the protocol sends."""

    def __init__(
        self,
        platform: Platform,
        driver: Driver[WebSocketAction],
        protocol: SocketProtocol[Any],
        *,
        background: bool,
    ) -> None:
        super().__init__(platform, driver)
        self._background = background
        self._protocol = protocol
        self._socket: Socket | None = None

    @property
    def buffered(self) -> int:
        """Bytes that were handed to the socket and have not left it."""
        return 0 if self._socket is None or self.is_over else self._socket.buffered

    def open(self, url: str) -> None:
        """Open the socket; where the browser refuses at once, that is a close like any other."""
        try:
            self._socket = self._platform.open_websocket(url, self, background=self._background)
        except Exception as error:
            self.closed(ABNORMAL_CLOSURE, str(error))

    def send(self, frame: str | bytes) -> None:
        """Hand over a frame."""
        if self._socket is not None and not self.is_over:
            self._socket.send(frame)

    def measure(self) -> None:
        """Tell how much the socket holds back."""
        if self._protocol.state is State.OPEN:
            self.tell(self._protocol.buffered, self.buffered)

    def close(self, code: int, reason: str) -> None:
        """End it, whatever it is doing."""
        self.end()
        if self._socket is not None:
            # RFC 6455 §5.5 leaves 123 bytes; a browser raises for more, and leaves the socket open.
            fitting = reason.encode("utf-8", "replace")[:LONGEST_REASON]
            self._socket.close(code, fitting.decode("utf-8", "ignore"))

    # As a listener of the socket

    def opened(self) -> None:
        """Pass it on, as those below."""
        self.tell(self._protocol.opened)

    def received(self, frames: Sequence[Frame]) -> None:
        """Pass them on."""
        self.tell(self._protocol.received, frames)

    def closed(self, code: int, reason: str) -> None:
        """Pass it on; nothing more will come."""
        if not self.is_over:
            self.is_over = True
            self._driver.run(self._protocol.closed(self._platform.now(), code, reason))
