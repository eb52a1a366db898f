"""One attempt to open an event stream, and the stream that comes of it."""

from __future__ import annotations

from collections.abc import Sequence

from .actions import SSEAction
from .attempt import Attempt
from .driver import Driver
from .platform import Cancel, Platform, StreamEvent
from .sse_protocol import SSEProtocol


class StreamAttempt(Attempt[SSEAction]):
    """Tells the protocol what its stream tells."""

    def __init__(
        self, platform: Platform, driver: Driver[SSEAction], protocol: SSEProtocol
    ) -> None:
        super().__init__(platform, driver)
        self._protocol = protocol
        self._cancel: Cancel | None = None

    def open(
        self, url: str, *, with_credentials: bool, last_event_id: str, token: str | None
    ) -> None:
        """Open the stream; where that fails at once, it is a close like any other."""
        try:
            self._cancel = self._platform.open_event_stream(
                url,
                self,
                with_credentials=with_credentials,
                last_event_id=last_event_id,
                token=token,
            )
        except Exception as error:
            self.closed(None, str(error), None)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self.end()
        if self._cancel is not None:
            self._cancel()

    # As a listener of the stream

    def opened(self, position: str) -> None:
        """Pass it on, as those below."""
        self.tell(self._protocol.opened, position)

    def alive(self) -> None:
        """Pass it on."""
        self.tell(self._protocol.alive)

    def received(self, events: Sequence[StreamEvent]) -> None:
        """Pass them on."""
        self.tell(self._protocol.received, events)

    def positioned(self, last_event_id: str) -> None:
        """Pass it on."""
        self.tell(self._protocol.positioned, last_event_id)

    def retry_in(self, delay: float) -> None:
        """Pass it on."""
        self.tell(self._protocol.retry_in, delay)

    def closed(self, status: int | None, reason: str, retry_after: float | None) -> None:
        """Pass it on; nothing more will come."""
        if not self.is_over:
            self.is_over = True
            now = self._platform.now()
            self._driver.run(self._protocol.closed(now, status, reason, retry_after))
