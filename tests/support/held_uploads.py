"""A network that lets what a page sends through when it is told to."""

from __future__ import annotations

from collections import deque

from playwright.sync_api import BrowserContext, WebSocketRoute

from services.y_messages import SyncStep2, Update, decode


class HeldUploads:
    """Between the page of a context and the gateway: from some change on, what is sent waits.

    Everything stays in its order. What the gateway sends goes through at once.
    """

    def __init__(self, context: BrowserContext) -> None:
        #: Frames, and how many changes have been sent with each.
        self._waiting: deque[tuple[str | bytes, int]] = deque()
        #: How many changes may pass, counted from the beginning.
        self.allowed = 0
        self._sent = 0
        self._after_cut: int | None = None
        self._page: WebSocketRoute | None = None
        self._server: WebSocketRoute | None = None
        context.route_web_socket("**/ws/documents/**", self._connected)

    def allow(self, changes: int) -> None:
        """Let so many changes through, counted from the beginning."""
        self.allowed = max(self.allowed, changes)
        self._pump()

    @property
    def is_whole(self) -> bool:
        """Whether the page has told all it has since the last cut."""
        return self._page is not None and self._after_cut is None

    def cut(self, changes: int) -> None:
        """Break the connection; what waits is lost. The page, which made `changes`, tells them."""
        assert self._page is not None
        assert self._server is not None
        page, server = self._page, self._server
        self._page = self._server = None
        self._waiting.clear()
        self._after_cut = changes
        server.close()
        page.close(code=1012, reason="cut")

    def _connected(self, page: WebSocketRoute) -> None:
        self._page, self._server = page, page.connect_to_server()
        page.on_message(self._take)

    def _take(self, frame: str | bytes) -> None:
        message = decode(frame) if isinstance(frame, bytes) else None
        if isinstance(message, Update):
            self._sent += 1
        elif isinstance(message, SyncStep2) and self._after_cut is not None:
            self._sent, self._after_cut = self._after_cut, None
        self._waiting.append((frame, self._sent))
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._server is not None and self._waiting[0][1] <= self.allowed:
            self._server.send(self._waiting.popleft()[0])
