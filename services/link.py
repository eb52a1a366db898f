"""What a tab has in the place of a connection of its own: a link to the tab that leads.

Every tab runs its client as it would alone: it queues, resends, drops duplicates and remembers its
position. Only the socket that the client opens is a link. So nothing depends on a leader that
lives: the next one is joined as a server is that has restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .close_codes import SERVICE_RESTART
from .errors import InvalidFrame
from .messages import Id
from .platform import Cancel, Platform
from .recent import Item
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
    Status,
    Taken,
    Up,
    decode,
    encode,
)
from .tab_sync import LEADER_CHANGED, TabSync

PROBE_INTERVAL = 3.0
"""Seconds of silence after which the leader is asked whether it is there."""

PATIENCE = 2 * PROBE_INTERVAL
"""Seconds of silence after which it counts as frozen, and another tab leads."""

LATE = 2.0
"""Seconds by which a timer is late in a tab that was itself frozen, or asleep."""

PIECE = 1024 * 1024
"""Characters after which frames for the leader go in another message."""


def worth_telling(high_water: int) -> int:
    """Return of how many characters a tab is told when they have gone to the socket.

    In good time before it would hold back, and seldom otherwise.
    """
    return min(64 * 1024, high_water // 4)


class Relay(Protocol):
    """What the tab that leads has besides."""

    def handle(self, tab_id: str, request: Request) -> None:
        """Serve a tab."""

    def close(self) -> None:
        """Lead no more."""


class PageListener(Protocol):
    """Hears of the page alone."""

    def left(self, kept: bool) -> None:
        """Hear that it is left."""

    def returned(self) -> None:
        """Hear that it came back."""


class LinkEnd(Protocol):
    """What a client holds of a link, as it would a socket or a stream."""

    after: Id | None
    """The position at which it was opened."""

    def opened(self, position: str) -> None:
        """Hear that it leads to an open connection."""

    def received(self, items: Sequence[Item]) -> None:
        """Take messages."""

    def taken(self, amount: int) -> None:
        """Hear how much of what was sent has gone to the socket."""

    def closed(self, code: int | None, reason: str) -> None:
        """Hear that it is closed."""


class Link:
    """One tab's part in a shared connection. `topic` is its name among the tabs.

    `lead` makes the relay when this tab becomes the leader; `told` is called for each status.
    """

    def __init__(
        self,
        platform: Platform,
        tabs: TabSync,
        topic: str,
        *,
        lead: Callable[[], Relay],
        told: Callable[[Status], None],
    ) -> None:
        self._platform = platform
        self._tabs = tabs
        self.topic = topic
        self._lead = lead
        self._told = told
        self._relay: Relay | None = None
        self._end: LinkEnd | None = None
        self._number = 0
        self._leader: str | None = None
        self._relay_number = 0
        self._is_open = False
        self._is_live = False
        self.has_missed = True
        """Whether the others may have been told something that this tab was not."""
        self._heard_at = 0.0
        self._watchdog: Cancel | None = None
        self._cancels = [
            tabs.on(topic, self._hear),
            tabs.on(LEADER_CHANGED, self._leader_changed),
            platform.watch(PageWatcher(self)),
        ]

    def start(self) -> None:
        """Take part. Only now may `lead` be called."""
        if self._tabs.is_leader:
            self._relay = self._lead()

    @property
    def relay(self) -> Relay | None:
        """What this tab does for all, if it leads."""
        return self._relay

    # The client's side

    def open(self, end: LinkEnd) -> None:
        """Join the leader, now or when there is one."""
        self._number += 1
        self._end = end
        self._leader = None
        self._is_open = self._is_live = False
        number = self._number
        asyncio.get_running_loop().call_soon(lambda: self._first_join(number))

    def send(self, frames: list[str]) -> None:
        """Send frames up."""
        piece: list[str] = []
        size = 0
        for frame in frames:
            if piece and size + len(frame) > PIECE:
                self._post(Up(self._number, piece))
                piece, size = [], 0
            piece.append(frame)
            size += len(frame)
        self._post(Up(self._number, piece))

    def insist(self) -> None:
        """Ask the leader not to wait before it connects."""
        if self._end is not None:
            self._post(Insist(self._number))

    def leave(self) -> None:
        """Close the link."""
        if self._end is not None:
            self._end = None
            self.has_missed = True
            self._post(Leave(self._number))
            self._stop()

    def close(self) -> None:
        """Take part no more."""
        self.leave()
        for cancel in self._cancels:
            cancel()
        self._end_relay()

    # As a watcher of the platform

    def left(self, kept: bool) -> None:  # noqa: ARG002 - it is left either way
        """Hear nothing of the others for a while."""
        self.has_missed = True

    def returned(self) -> None:
        """Do nothing: the client joins again."""

    # The relay's side

    def take(self, news: News) -> None:
        """Take what the leader, which may be this very tab, has to say."""
        self._heard_at = self._platform.now()
        match news:
            case Status():
                self._told(news)
            case Live(relay) if self._is_live and relay != self._relay_number:
                self.has_missed = True
                self._closed(SERVICE_RESTART, "another tab led meanwhile")
            case Live(_, items):
                if self._is_live and self._end is not None:
                    self._end.received(items)
                elif self._relay is None:
                    self.has_missed = True
            case _ if self._end is None or news.link != self._number:
                pass  # of a link that is closed
            case Opened(_, relay, position):
                self._is_open = True
                self._relay_number = relay
                self._end.opened(position)
            case Down(_, items, live):
                if live:
                    self._is_live = True
                    self.has_missed = False
                self._end.received(items)
            case Taken(_, amount):
                self._end.taken(amount)
            case Closed(_, code, reason):
                self._closed(code, reason)

    # How it is done

    def _hear(self, payload: Any, tab_id: str) -> None:
        try:
            message = decode(payload)
        except InvalidFrame as error:
            self._tabs.misheard(error)
            return
        if isinstance(message, Request):
            if self._relay is not None:
                self._relay.handle(tab_id, message)
        elif tab_id == self._tabs.leader and tab_id != self._tabs.tab_id:
            self.take(message)
        elif isinstance(message, Live):
            self.has_missed = True  # from one that has led, or will, as far as we have seen

    def _post(self, request: Request) -> None:
        leader = self._tabs.leader
        if leader == self._tabs.tab_id:
            if self._relay is not None:
                self._relay.handle(leader, request)
        elif leader is not None:
            self._tabs.send(leader, self.topic, encode(request))

    def _first_join(self, number: int) -> None:
        # Unless it is closed by now, or has joined a leader that came in between.
        if self._end is not None and number == self._number and self._leader is None:
            self._join()

    def _join(self) -> None:
        assert self._end is not None
        self._leader = self._tabs.leader
        self._watch()
        if self._leader is not None:
            self._post(Join(self._number, self._end.after))

    def _closed(self, code: int | None, reason: str) -> None:
        end, self._end = self._end, None
        self._is_open = self._is_live = False
        self._stop()
        if end is not None:
            end.closed(code, reason)

    def _leader_changed(self, _payload: object, _tab_id: str) -> None:
        leader = self._tabs.leader
        if leader != self._tabs.tab_id:
            self.has_missed |= self._relay is not None  # others may have led before we woke
            self._end_relay()
        elif self._relay is None:
            self._relay = self._lead()
        if leader == self._leader or self._end is None:
            return
        if self._is_open:
            self._closed(SERVICE_RESTART, "another tab leads")
        else:
            self._join()

    def _end_relay(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()

    # Whether the leader lives

    def _watch(self) -> None:
        self._stop()
        self._heard_at = self._platform.now()
        self._wait()

    def _wait(self) -> None:
        due = self._platform.now() + PROBE_INTERVAL
        self._watchdog = self._platform.call_later(PROBE_INTERVAL, lambda: self._look(due))

    def _look(self, due: float) -> None:
        now = self._platform.now()
        leader = self._tabs.leader
        if now - due > LATE:
            self._heard_at = now  # we were away: what it said may not have come here yet
        if leader != self._tabs.tab_id:
            if now - self._heard_at >= PATIENCE:
                self._tabs.depose(leader)
                self._heard_at = now
            else:
                self._post(Probe(self._number))
        self._wait()

    def _stop(self) -> None:
        if self._watchdog is not None:
            self._watchdog()
            self._watchdog = None


class PageWatcher:
    """Passes on that the page is left and comes back."""

    def __init__(self, watcher: PageListener) -> None:
        self.left = watcher.left
        self.returned = watcher.returned

    def online(self) -> None:
        """Keep it."""

    offline = visible = hidden = online
