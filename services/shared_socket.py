"""The one WebSocket of all tabs: what the leader passes up, down and on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import messages
from .actions import Attempted, Deliver, Emit, Resumed, Unclaimed, WebSocketAction
from .close_codes import NORMAL_CLOSURE, SERVICE_RESTART, UNAUTHORIZED, is_final
from .errors import ConnectionFailed, Disconnected, InvalidFrame, RealtimeError
from .link import worth_telling
from .messages import Id, Message, as_id
from .recent import Item, Recent
from .relay import AT_REST, Key, Relay
from .shared_messages import News, Taken
from .tab_sync import TabSync
from .websocket_client import WebSocketClient

OWNERS = 20_000
"""Frames whose sender is remembered until the server answers; a server may never do so."""

PING_INTERVAL = 1.0
"""Seconds between pings to the server, however many tabs ask for one."""

BAD_FRAME = 4400


class Upstream(WebSocketClient):
    """A client whose actions somebody watches as they are carried out."""

    def __init__(
        self,
        url: Any,
        happened: Callable[[WebSocketAction], None],
        settled: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        self._happened = happened
        self._told_settled = settled
        super().__init__(url, **options)

    def begin(self) -> None:
        """Connect, and go on trying: how that goes is told by the actions."""
        self._driver.run(self._protocol.connect(self._platform.now()))

    def forward(self, text: str) -> None:
        """Pass on a frame that a tab keeps and sends again."""
        self._driver.run(self._protocol.forward(text))

    def forget_queued(self) -> None:
        """Drop what was to be passed on: the tabs send it again, each in its order.

        Not so after a refused token: the server has acted upon none of it.
        """
        self._protocol.session.outbox.clear()

    @property
    def position(self) -> Id | None:
        """The id of the last message that came."""
        return self._protocol.session.history.last

    @property
    def is_congested(self) -> bool:
        """Whether some of what was passed on waits for the socket."""
        return self._protocol.session.outbox.queued > 0

    def _perform(self, action: WebSocketAction) -> None:
        super()._perform(action)
        self._happened(action)

    def _settled(self) -> None:
        super()._settled()
        self._told_settled()


class SocketRelay(Relay[Upstream]):
    """Shares one WebSocket. `make` makes the client with the options of the page.

    `told` hears of frames from the server that are none.
    """

    def __init__(
        self,
        tabs: TabSync,
        topic: str,
        take: Callable[[News], None],
        recent: Recent,
        *,
        make: Callable[..., Upstream],
        now: Callable[[], float],
        told: Callable[[dict[str, Any]], None],
        high_water: int,
    ) -> None:
        super().__init__(tabs, topic, take, recent)
        self._make = make
        self._now = now
        self._told = told
        self._owners: dict[Id, Key] = {}
        self._unplaced: list[tuple[Key, Message]] = []
        self._catching_up: dict[Key, CatchUp] = {}
        self._worth_telling = worth_telling(high_water)
        self._pinged_at = now() - PING_INTERVAL
        self.is_behind = False
        """Whether the server may still tell what was missed before the socket was opened."""
        self.upstream = make(self._happened, self._settled)
        self.start_after(recent.last)

    def connect(self, *, insist: bool) -> None:
        """Connect, if it rests; with `insist` also if it waits for the next attempt."""
        if insist or self.upstream.state in AT_REST:
            self.upstream.begin()

    async def authenticate(self) -> None:
        """Tell the server a newer token."""
        await self.upstream.authenticate()

    def start_after(self, position: Id | None) -> None:
        """Let the next connection resume after that message."""
        self.upstream.start_after(position)

    def joined(self, key: Key, after: Id | None) -> None:
        """Open the link; it will say itself where it wants to go on."""
        del after
        self.post_opened(key)

    def up(self, key: Key, frames: list[str]) -> None:
        """Pass frames on, but for those that are between a client and its server."""
        link = self.link(key)
        for text in frames:
            try:
                message = messages.decode(text)
            except InvalidFrame as error:
                self.close_link(key, BAD_FRAME, str(error))
                return
            match message.type:
                case "auth":
                    pass  # the leader alone says who we are: no token crosses between tabs
                case "resume":
                    self._resume(key, message)
                case "ping":
                    self._ping()
                    self.down(key, [_frame("pong", {})], live=False)
                case _:
                    if message.id is not None:
                        self._remember(message.id, key)
                    self.upstream.forward(text)
            if link is not None:
                link.came += len(text)
        self._tell_taken(key)

    def left(self, key: Key) -> None:
        """End its catching up."""
        if (catching_up := self._catching_up.pop(key, None)) is not None:
            catching_up.end()

    # What the client does

    def _happened(self, action: WebSocketAction) -> None:
        if self.is_closed:
            return
        match action:
            case Deliver(news):
                self.deliver([message.as_dict() for message in news])
            case Unclaimed(message):
                self._answered(message)
            case Attempted(None):
                self.opened()
            case Attempted(error) if not self.upstream.is_connected:
                self._failed(error)
            case Emit("disconnected", payload):
                self._lost(payload["code"], payload["reason"])
            case Emit("error", payload) if self.upstream.is_connected:
                self._told(payload)
            case Emit("reset", payload):
                self._reset(payload["reason"])
            case Emit("connected"):
                self.is_behind = True
            case Resumed():
                if self._recent.last is None:
                    self._recent.restart(self.upstream.position)
                self._all_caught_up()
                self._place()

    def _settled(self) -> None:
        if self.is_closed:
            return
        self.stands(self.upstream.stats)
        if not self.upstream.is_congested:
            for key in self.keys:
                self._tell_taken(key)

    def _failed(self, error: RealtimeError | None) -> None:
        code, reason = None, str(error)
        if isinstance(error, (ConnectionFailed, Disconnected)) and error.code is not None:
            code, reason = error.code, error.reason
        self.lost(self._as_links_see_it(code), reason)

    def _lost(self, code: int, reason: str) -> None:
        if code != UNAUTHORIZED:
            self.upstream.forget_queued()
        self._owners.clear()
        self._unplaced.clear()
        self.lost(self._as_links_see_it(code), reason)

    def _reset(self, reason: object) -> None:
        # Links that have not said yet where they go on ask the server themselves.
        live = [key for key in self.keys if (link := self.link(key)) and link.is_live]
        self._recent.restart(self.upstream.position)
        for key in live:
            self.down(key, [_reset(reason, self.upstream.position)], live=True)

    def _all_caught_up(self) -> None:
        self.is_behind = False
        for catching_up in tuple(self._catching_up.values()):
            catching_up.shared_caught_up()

    def _as_links_see_it(self, code: int | None) -> int:
        """Return a code that is final for a link only if the client has given up."""
        if self.upstream.state in AT_REST:
            return NORMAL_CLOSURE if code is None else code
        return SERVICE_RESTART if code is None or is_final(code) else code

    def _answered(self, message: Message) -> None:
        payload = message.payload if isinstance(message.payload, dict) else {}
        message_id = as_id(payload.get("id"))
        owner = None if message_id is None else self._owners.pop(message_id, None)
        if owner is not None and self.link(owner) is not None:
            self.down(owner, [message.as_dict()], live=False)

    def _remember(self, message_id: Id, key: Key) -> None:
        self._owners[message_id] = key
        if len(self._owners) > OWNERS:
            del self._owners[next(iter(self._owners))]

    def _ping(self) -> None:
        now = self._now()
        if now - self._pinged_at >= PING_INTERVAL:
            self._pinged_at = now
            self.upstream.ping()

    def _tell_taken(self, key: Key) -> None:
        link = self.link(key)
        if link is None or self.upstream.is_congested:
            return
        if link.came - link.told >= self._worth_telling:
            link.told = link.came
            self.post(key[0], Taken(key[1], link.came))

    # Where a link goes on

    def _resume(self, key: Key, message: Message) -> None:
        payload = message.payload if isinstance(message.payload, dict) else {}
        after = as_id(payload.get("after"))
        ack = self._ack(message)
        if after is None:
            link = self.link(key)
            since = None if link is None else self._recent.since(link.mark)
            self.down(key, since or [], live=True)
            # Without a position a tab could not go on where it was: it is told when there is one.
            self._unplaced.append((key, message))
            if self.upstream.position is not None:
                self._place()
        elif self._recent.knows(after):
            self.down(key, [*self._recent.after(after), ack], live=True)
        elif key not in self._catching_up:
            self._catching_up[key] = CatchUp(self, key, after, ack)

    def _place(self) -> None:
        for key, message in self._unplaced:
            self.down(key, [self._ack(message)], live=False)
        self._unplaced.clear()

    def _ack(self, message: Message) -> Item:
        result = {"after": self.upstream.position}
        return _frame("ack", {"id": message.id, "result": result})

    def caught_up(self, key: Key) -> None:
        """Take note that a link needs no connection of its own any more."""
        self._catching_up.pop(key, None)

    def client(self, happened: Callable[[WebSocketAction], None], after: Id) -> Upstream:
        """Return another client of the same kind, not connected yet."""
        client = self._make(happened, lambda: None)
        client.start_after(after)
        return client

    @property
    def recent(self) -> Recent:
        """The latest messages."""
        return self._recent


class CatchUp:
    """A tab that has missed more than the leader keeps: it is told by the server what that was.

    For as long as that takes it has a connection of its own, made by the leader. What the shared
    one has brought since then is sent after it: the two overlap, and the tab drops what is double.
    """

    def __init__(self, relay: SocketRelay, key: Key, after: Id, ack: Item) -> None:
        self._relay = relay
        self._key = key
        self._ack = ack
        self._mark = relay.recent.count
        self._is_done = False
        self._client = relay.client(self._happened, after)
        self._client.begin()

    def end(self) -> None:
        """Give it up, or be done."""
        self._client.disconnect()

    def shared_caught_up(self) -> None:
        """Leave out what the shared one was behind with: the server tells us that itself."""
        self._mark = self._relay.recent.count
        if self._is_done:
            self._finish()

    def _happened(self, action: WebSocketAction) -> None:
        match action:
            case Deliver(news):
                items = [message.as_dict() for message in news]
                self._relay.down(self._key, items, live=False)
            case Emit("reset", payload):
                reset = _reset(payload["reason"], self._client.position)
                self._relay.down(self._key, [reset], live=False)
            case Resumed():
                self._done()

    def _done(self) -> None:
        self._is_done = True
        if not self._relay.is_behind:
            self._finish()

    def _finish(self) -> None:
        since = self._relay.recent.since(self._mark)
        if since is None:  # too much came meanwhile: once more, from where we are now
            self._mark = self._relay.recent.count
            self._is_done = False
            self._client.pause("once more")
            self._client.unpause()
            return
        self._relay.down(self._key, [*since, self._ack], live=True)
        self._relay.caught_up(self._key)
        self.end()


def _frame(type_: str, payload: dict[str, Any]) -> Item:
    return Message(type_, payload).as_dict()


def _reset(reason: object, after: Id | None) -> Item:
    return _frame("reset", {"reason": reason, "after": after})
