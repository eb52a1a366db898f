"""What the leader of a shared connection does for all tabs: it has the connection, they have links.

Here is what WebSockets and event streams have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from .close_codes import SERVICE_RESTART
from .connection_stats import ConnectionStats
from .errors import NotCloneable
from .messages import Id
from .platform import Cancel, Platform, Watcher
from .recent import Item, Recent
from .shared_messages import (
    Closed,
    Down,
    Insist,
    Join,
    Leave,
    Live,
    News,
    Opened,
    Probe,
    Request,
    SharedMessage,
    Status,
    Up,
    encode,
)
from .tab_sync import DISCONNECTED, TABS_CHANGED, TabSync

PIECE = 200
"""Messages that cross at once, so that other tabs can draw in between."""

NUMBERS = count(1)
"""Of the relays that this page has had."""

Key = tuple[str, int]
"""A tab's id and its link's number."""


AT_REST = frozenset({"closed", "refused", "ended"})
"""States of a connection that nothing but `connect` changes."""


class Shareable(Protocol):
    """What a relay needs to know of a connection of either kind."""

    @property
    def state(self) -> str:
        """How it stands."""

    @property
    def is_connected(self) -> bool:
        """Whether it is open."""

    def pause(self, reason: str) -> None:
        """Drop it until `unpause`."""

    def unpause(self) -> None:
        """Connect again."""

    def disconnect(self) -> None:
        """Close it for good."""


@dataclass(slots=True)
class LinkState:
    """What the leader knows of a link."""

    after: Id | None
    mark: int = 0
    """How many messages had come when it was opened."""
    is_open: bool = False
    is_live: bool = False
    came: int = 0
    told: int = 0


UpstreamT = TypeVar("UpstreamT", bound=Shareable)


class Relay(Generic[UpstreamT]):
    """Serves links. The owner tells it what happens to the connection.

    `take` hands news to the link of this very tab; `recent` are the latest messages.
    """

    def __init__(
        self, tabs: TabSync, topic: str, take: Callable[[News], None], recent: Recent
    ) -> None:
        self._tabs = tabs
        self._topic = topic
        self._take = take
        self._recent = recent
        # A tab may lead again, and another have led in between.
        self._number = next(NUMBERS)
        self._links: dict[Key, LinkState] = {}
        self._status: Status | None = None
        self.is_closed = False
        """Whether it leads no more: what happens to the connection then is its end."""
        self._off = tabs.on(DISCONNECTED, lambda _, tab_id: self._drop_tab(tab_id))

    # What each kind of connection does in its own way

    upstream: UpstreamT
    """The connection."""

    def connect(self, *, insist: bool) -> None:
        """Connect, if it rests; with `insist` also if it waits for the next attempt."""
        raise NotImplementedError

    def start_after(self, position: Id | None) -> None:
        """Let the next connection resume after that message."""
        raise NotImplementedError

    def joined(self, key: Key, after: Id | None) -> None:
        """Tell a link that the connection is open, and what is to be told of the past."""
        raise NotImplementedError

    def up(self, key: Key, frames: list[str]) -> None:
        """Take frames from a link that is open."""

    def left(self, key: Key) -> None:
        """End what is done for a link alone."""

    # What the tabs want

    def handle(self, tab_id: str, request: Request) -> None:
        """Serve a tab."""
        key = (tab_id, request.link)
        match request:
            case Join(_, after):
                self._join(key, after)
            case Leave():
                self._leave(key)
            case _ if key not in self._links:
                # It was here before us, or we were away.
                self.post(tab_id, Closed(request.link, SERVICE_RESTART, "the link is not known"))
            case Probe():
                if self._status is not None:
                    self.post(tab_id, self._status)
            case Insist():
                self.connect(insist=True)
            case Up(_, frames):
                if self._links[key].is_open:
                    self.up(key, frames)

    def renew(self) -> None:
        """Connect anew, with a token that is asked for again."""
        if self.upstream.state not in AT_REST:
            self.upstream.pause("renewed")
            self.upstream.unpause()

    def close(self) -> None:
        """Lead no more."""
        self.is_closed = True
        self._off()
        for key in tuple(self._links):
            self.left(key)
        self._links.clear()
        self._disconnect()

    # What happens to the connection

    def opened(self) -> None:
        """Tell the links that wait; without any, the last tab has left while it was down."""
        if not self._links:
            self._disconnect()
        for key, link in tuple(self._links.items()):
            if not link.is_open:
                self._serve(key, link)

    def lost(self, code: int | None, reason: str) -> None:
        """Close all links: their tabs join again."""
        for key in tuple(self._links):
            self.close_link(key, code, reason)

    def deliver(self, items: Sequence[Item]) -> None:
        """Tell all tabs."""
        self._recent.add(items)
        for start in range(0, len(items), PIECE):
            self._tell_all(Live(self._number, list(items[start : start + PIECE])))

    def stands(self, stats: ConnectionStats) -> None:
        """Tell all how the connection stands, if it stands otherwise than before."""
        code, reason = stats.last_close or (None, None)
        status = Status(stats.state, stats.attempts, code, reason, stats.round_trip)
        if status != self._status:
            self._status = status
            self._tell_all(status)

    # For those that build on it

    def link(self, key: Key) -> LinkState | None:
        """Return what is known of a link."""
        return self._links.get(key)

    @property
    def keys(self) -> list[Key]:
        """The links there are."""
        return list(self._links)

    def post(self, tab_id: str, news: News) -> None:
        """Tell one tab."""
        if tab_id == self._tabs.tab_id:
            self._take(news)
        else:
            self._send(news, lambda payload: self._tabs.send(tab_id, self._topic, payload))

    def post_opened(self, key: Key, position: str = "") -> None:
        """Tell a link that it leads to an open connection."""
        self.post(key[0], Opened(key[1], self._number, position))

    def down(self, key: Key, items: Sequence[Item], *, live: bool) -> None:
        """Tell a link messages that are for it alone; `live`: from now on it counts all others."""
        if key not in self._links:
            return
        self._links[key].is_live |= live
        tab_id, number = key
        last = max(0, (len(items) - 1) // PIECE)
        for piece in range(last + 1):
            part = list(items[piece * PIECE : (piece + 1) * PIECE])
            self.post(tab_id, Down(number, part, live and piece == last))

    def close_link(self, key: Key, code: int | None, reason: str) -> None:
        """Close one link."""
        if self._links.pop(key, None) is not None:
            self.left(key)
            self.post(key[0], Closed(key[1], code, reason))

    def _join(self, key: Key, after: Id | None) -> None:
        self._links[key] = link = LinkState(after)
        if self._status is not None:
            self.post(key[0], self._status)
        if self.upstream.is_connected:
            self._serve(key, link)
        else:
            is_alone = key[0] == self._tabs.tab_id and len(self._tabs.tabs) == 1
            if is_alone and self._recent.last is None:
                # A tab that is alone: the connection may as well begin where it was.
                self._recent.restart(after)
                self.start_after(after)
            self.connect(insist=False)

    def _serve(self, key: Key, link: LinkState) -> None:
        link.is_open = True
        link.mark = self._recent.count
        self.joined(key, link.after)

    def _leave(self, key: Key) -> None:
        if self._links.pop(key, None) is not None:
            self.left(key)
            if not self._links:
                self._disconnect()

    def _disconnect(self) -> None:
        # Nobody wants it any more; its position is kept.
        if self.upstream.state != "closed":
            self.upstream.disconnect()

    def _drop_tab(self, tab_id: str) -> None:
        for key in self.keys:
            if key[0] == tab_id:
                self._leave(key)

    def _tell_all(self, news: News) -> None:
        if any(tab_id != self._tabs.tab_id for tab_id, _ in self._links):
            self._send(news, lambda payload: self._tabs.broadcast(self._topic, payload))
        self._take(news)

    def _send(self, message: SharedMessage, post: Callable[[Any], None]) -> None:
        try:
            post(encode(message))
        except NotCloneable as error:
            if not isinstance(message, (Live, Down)) or len(message.items) < 2:
                self._tabs.misheard(error)
                return
            # Too much together: one by one. What is too large even so, other tabs do not get.
            for place, item in enumerate(message.items, start=1):
                if isinstance(message, Live):
                    self._send(Live(message.relay, [item]), post)
                else:
                    live = message.live and place == len(message.items)
                    self._send(Down(message.link, [item], live), post)


class GroupPlatform:
    """The browser, as all tabs together see it: in view if any of them is."""

    def __init__(self, platform: Platform, tabs: TabSync) -> None:
        self._platform = platform
        self._tabs = tabs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)

    @property
    def is_visible(self) -> bool:
        """Whether anybody sees any of the tabs."""
        return any(tab.visible for tab in self._tabs.tabs)

    def watch(self, watcher: Watcher) -> Cancel:
        """Tell of the network, and of tabs that come into view or go out of it."""
        was_visible = self.is_visible

        def changed(_payload: object, _tab_id: str) -> None:
            nonlocal was_visible
            is_visible = self.is_visible
            if is_visible != was_visible:
                was_visible = is_visible
                (watcher.visible if is_visible else watcher.hidden)()

        cancels = (
            self._tabs.on(TABS_CHANGED, changed),
            self._platform.watch(NetworkWatcher(watcher)),
        )

        def cancel() -> None:
            for each in cancels:
                each()

        return cancel


class NetworkWatcher:
    """Passes on news of the network alone. A page that is left leads no more in any case."""

    def __init__(self, watcher: Watcher) -> None:
        self.online = watcher.online
        self.offline = watcher.offline

    def visible(self) -> None:
        """Keep it."""

    hidden = returned = visible

    def left(self, kept: bool) -> None:
        """Keep it."""
