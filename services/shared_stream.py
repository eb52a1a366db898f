"""The one event stream of all tabs: what the leader passes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .actions import DeliverEvents, Emit, OpenStream, Positioned, SSEAction
from .messages import Id
from .platform import Cancel
from .recent import Item, Recent
from .relay import AT_REST, Key, Relay
from .shared_messages import News
from .sse_client import SSEClient
from .tab_sync import TabSync

QUIET = 2.0
"""Seconds without an event after which a server that does not say so has sent what was missed."""


class Upstream(SSEClient):
    """A client whose actions somebody watches as they are carried out."""

    def __init__(
        self,
        url: Any,
        happened: Callable[[SSEAction], None],
        settled: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        self._happened = happened
        self._told_settled = settled
        super().__init__(url, resume_after_reload=False, **options)

    def _perform(self, action: SSEAction) -> None:
        super()._perform(action)
        self._happened(action)

    def _settled(self) -> None:
        super()._settled()
        self._told_settled()


class StreamRelay(Relay[Upstream]):
    """Shares one event stream. `make` makes the client with the options of the page.

    `told` hears of events from the server that are none.
    """

    def __init__(
        self,
        tabs: TabSync,
        topic: str,
        take: Callable[[News], None],
        recent: Recent,
        *,
        make: Callable[..., Upstream],
        call_later: Callable[[float, Callable[[], None]], Cancel],
        told: Callable[[dict[str, Any]], None],
    ) -> None:
        super().__init__(tabs, topic, take, recent)
        self._make = make
        self._call_later = call_later
        self._told = told
        self._catching_up: dict[Key, CatchUp] = {}
        self.is_behind = False
        """Whether the server may still tell what was missed before the stream was opened."""
        self.upstream = make(self._happened, self._settled)
        self.start_after(recent.last)

    def connect(self, *, insist: bool) -> None:
        """Connect, if it rests; with `insist` also if it waits for the next attempt."""
        if insist or self.upstream.state in AT_REST:
            self.upstream.connect()

    def start_after(self, position: Id | None) -> None:
        """Let the next stream resume after that event."""
        self.upstream.start_after("" if position is None else str(position))

    def joined(self, key: Key, after: Id | None) -> None:
        """Open the link, and tell it what came after its position."""
        self.post_opened(key, self.upstream.last_event_id)
        if after is None:
            self.down(key, [], live=True)
        elif self._recent.knows(after):
            self.down(key, self._recent.after(after), live=True)
        else:
            self._catching_up[key] = CatchUp(self, key, str(after))

    def left(self, key: Key) -> None:
        """End its catching up."""
        if (catching_up := self._catching_up.pop(key, None)) is not None:
            catching_up.end()

    # What the client does

    def _happened(self, action: SSEAction) -> None:
        if self.is_closed:
            return
        match action:
            case DeliverEvents(events):
                self.deliver(as_items(events))
            case OpenStream(last_event_id):
                self.is_behind = last_event_id != ""
            case Positioned():
                self._all_caught_up()
            case Emit("connected"):
                if self._recent.last is None:
                    self._recent.restart(self.upstream.last_event_id or None)
                self.opened()
            case Emit("disconnected"):
                self._lost()
            case Emit("error", payload):
                if self.upstream.is_connected:
                    self._told(payload)
                else:
                    self._lost()
            case Emit("reset", payload):
                self._reset(payload["reason"])
                self._all_caught_up()

    def _settled(self) -> None:
        if not self.is_closed:
            self.stands(self.upstream.stats)

    def _lost(self) -> None:
        status, reason = self.upstream.last_close or (None, "")
        self.lost(status if self.upstream.state in AT_REST else None, reason)

    def _all_caught_up(self) -> None:
        self.is_behind = False
        for catching_up in tuple(self._catching_up.values()):
            catching_up.shared_caught_up()

    def _reset(self, reason: object) -> None:
        live = [key for key in self.keys if (link := self.link(key)) and link.is_live]
        position = self.upstream.last_event_id
        self._recent.restart(position or None)
        for key in live:
            self.down(key, [reset_item(reason, position)], live=True)

    # Where a link goes on

    def caught_up(self, key: Key) -> None:
        """Take note that a link needs no stream of its own any more."""
        self._catching_up.pop(key, None)

    def client(self, happened: Callable[[SSEAction], None], after: str) -> Upstream:
        """Return another client of the same kind, connecting after that position."""
        client = self._make(happened)
        client.start_after(after)
        client.connect()
        return client

    def call_later(self, delay: float, callback: Callable[[], None]) -> Cancel:
        """Call back once."""
        return self._call_later(delay, callback)

    @property
    def recent(self) -> Recent:
        """The latest events."""
        return self._recent


class CatchUp:
    """A tab that has missed more than the leader keeps: it is told by the server what that was.

    For as long as that takes it has a stream of its own, made by the leader. What the shared one
    has brought since then is sent after it, without what both have brought.
    """

    def __init__(self, relay: StreamRelay, key: Key, after: str) -> None:
        self._relay = relay
        self._key = key
        self._mark = relay.recent.count
        self._is_done = False
        self._seen: set[str] = set()
        self._cancel: Cancel | None = None
        self._client = relay.client(self._happened, after)

    def end(self) -> None:
        """Give it up, or be done."""
        self._wait(None)
        self._client.disconnect()

    def shared_caught_up(self) -> None:
        """Leave out what the shared one was behind with: the server tells us that itself."""
        self._mark = self._relay.recent.count
        if self._is_done:
            self._finish()

    def _happened(self, action: SSEAction) -> None:
        match action:
            case DeliverEvents(events):
                self._seen.update(id_ for _, _, id_ in events)
                self._relay.down(self._key, as_items(events), live=False)
                self._wait(QUIET)
            case Emit("connected"):
                self._wait(QUIET)
            case Emit("reset", payload):
                item = reset_item(payload["reason"], self._client.last_event_id)
                self._relay.down(self._key, [item], live=False)
                self._done()
            case Positioned():
                self._done()

    def _done(self) -> None:
        self._is_done = True
        if not self._relay.is_behind:
            self._finish()

    def _wait(self, delay: float | None) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if delay is not None:
            self._cancel = self._relay.call_later(delay, self._finish)

    def _finish(self) -> None:
        since = self._relay.recent.since(self._mark)
        if since is None:  # too much came meanwhile: once more, from where we are now
            self._mark = self._relay.recent.count
            self._is_done = False
            self._client.pause("once more")
            self._client.unpause()
            return
        news = [item for item in since if item["id"] not in self._seen]
        self._relay.down(self._key, news, live=True)
        self._relay.caught_up(self._key)
        self.end()


def as_items(events: list[tuple[str, object, str]]) -> list[Item]:
    """Return events as they cross between tabs: data that is no object as JSON text."""
    return [
        {
            "event": event,
            "data": data if isinstance(data, dict) else json.dumps(data),
            "id": id_ or None,
        }
        for event, data, id_ in events
    ]


def reset_item(reason: object, position: str) -> Item:
    """Return the event that says that events were missed."""
    return {"event": "reset", "data": {"reason": reason}, "id": position or None}
