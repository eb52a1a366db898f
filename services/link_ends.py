"""What a client holds of a link: something like a socket, something like a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .close_codes import SERVICE_RESTART
from .errors import InvalidFrame
from .link import Link, PageWatcher, worth_telling
from .messages import Id
from .platform import Cancel, EventStreamListener, Platform, SocketListener, StreamEvent, Watcher
from .recent import Item


class LinkSocket:
    """A link in the place of a WebSocket."""

    def __init__(self, link: Link, listener: SocketListener, after: Id | None, untold: int) -> None:
        self._link = link
        self._untold = untold
        self.after = after
        self._listener = listener
        self._frames: list[str] = []
        self._sent = 0
        self._taken = 0
        self._is_closed = False
        link.open(self)

    @property
    def buffered(self) -> int:
        """Characters that have not gone to the socket yet."""
        amount = self._sent - self._taken
        return amount if amount >= self._untold else 0

    def send(self, frame: str | bytes) -> None:
        """Hand over a frame; those of one moment go together."""
        if not isinstance(frame, str):
            raise InvalidFrame("expected a text frame, came a binary one")
        if not self._frames:
            asyncio.get_running_loop().call_soon(self._flush)
        self._sent += len(frame)
        self._frames.append(frame)

    def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - a socket's signature
        """Close, and hear nothing more of it."""
        if not self._is_closed:
            self._flush()
            self._is_closed = True
            self._link.leave()

    def opened(self, position: str) -> None:  # noqa: ARG002
        """Pass it on, as those below."""
        self._listener.opened()

    def received(self, items: Sequence[Item]) -> None:
        """Pass them on."""
        self._listener.received(items)

    def taken(self, amount: int) -> None:
        """Note how much of what was sent has gone to the socket."""
        self._taken = amount

    def closed(self, code: int | None, reason: str) -> None:
        """Pass it on."""
        self._is_closed = True
        self._listener.closed(SERVICE_RESTART if code is None else code, reason)

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        if frames and not self._is_closed:
            self._link.send(frames)


class LinkStream:
    """A link in the place of an event stream."""

    def __init__(self, link: Link, listener: EventStreamListener, after: Id | None) -> None:
        self._link = link
        self._listener = listener
        self.after = after
        self._is_closed = False
        link.open(self)

    def cancel(self) -> None:
        """Close it."""
        if not self._is_closed:
            self._is_closed = True
            self._link.leave()

    def opened(self, position: str) -> None:
        """Pass it on, as those below."""
        self._listener.opened(position)

    def received(self, items: Sequence[Item]) -> None:
        """Pass on what is an event."""
        events = []
        for item in items:
            event, data, id_ = item.get("event"), item.get("data"), item["id"]
            if isinstance(event, str) and isinstance(data, (str, dict)):
                events.append(StreamEvent(event, data, "" if id_ is None else str(id_)))
        self._listener.received(events)

    def taken(self, amount: int) -> None:
        """Do nothing: a stream sends nothing."""

    def closed(self, code: int | None, reason: str) -> None:
        """Pass it on."""
        self._is_closed = True
        self._listener.closed(code, reason, None)


class LinkPlatform:
    """The browser, with links in the place of connections. The rest is the browser's own.

    `position` returns the id of the last message that came; `high_water` is the client's.
    """

    def __init__(
        self,
        platform: Platform,
        link: Link,
        position: Callable[[], Id | None],
        high_water: int = 0,
    ) -> None:
        self._platform = platform
        self._link = link
        self._position = position
        self._untold = worth_telling(high_water)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)

    is_visible = True

    def resolve(self, url: str, *, websocket: bool = False) -> str:  # noqa: ARG002
        """Return the name of the connection as it is."""
        return url

    def open_websocket(
        self,
        url: str,  # noqa: ARG002
        listener: SocketListener,
        *,
        background: bool = False,  # noqa: ARG002
    ) -> LinkSocket:
        """Open a link."""
        return LinkSocket(self._link, listener, self._position(), self._untold)

    def open_event_stream(
        self,
        url: str,  # noqa: ARG002
        listener: EventStreamListener,
        *,
        with_credentials: bool,  # noqa: ARG002
        last_event_id: str,  # noqa: ARG002
        token: str | None,  # noqa: ARG002
    ) -> Cancel:
        """Open a link."""
        return LinkStream(self._link, listener, self._position()).cancel

    def watch(self, watcher: Watcher) -> Cancel:
        """Tell only of the page that is left and comes back: the network is the leader's affair."""
        return self._platform.watch(PageWatcher(watcher))
