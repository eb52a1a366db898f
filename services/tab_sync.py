"""The tabs of one application: they talk, know one another, elect a leader and share values."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from . import tab_messages
from .describe import describe
from .emitter import Emitter, Handler, Unsubscribe
from .errors import ConfigurationError, InvalidFrame, RealtimeError
from .platform import Cancel, Channel, Platform, default_platform
from .presence import Presence
from .shared_state import SharedState, SharedValue
from .tab_messages import Introduction, TabMessage

CONNECTED, DISCONNECTED = "tab-connected", "tab-disconnected"
HERE, CHANGED, SHARED, HINT = "tab-here", "tab-changed", "tab-shared", "tab-hint"
TABS_CHANGED, LEADER_CHANGED, ERROR = "tabs-changed", "leader-changed", "error"

RESERVED = frozenset(
    {CONNECTED, DISCONNECTED, HERE, CHANGED, SHARED, HINT, TABS_CHANGED, LEADER_CHANGED, ERROR, "*"}
)

MOST_STRANGERS = 100
"""Introductions kept of tabs that are not known to be there."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab. `since` is when it was opened, in milliseconds since 1970.

    Before a tab has introduced itself its `title` is "" and its `since` None.
    """

    id: str
    title: str
    since: float | None
    visible: bool
    leader: bool
    is_self: bool


class TabSync:
    """All tabs of this origin that sync on one `channel`.

    `broadcast` reaches the handlers of all other tabs. Who is there and who leads comes from Web
    Locks (see ``presence``): it is right also after a crash, and no message can forge it.

    Besides the types that tabs broadcast, handlers may ask for `tab-connected` {tabId},
    `tab-disconnected` {tabId}, `tabs-changed` {} (also a title, or a tab that comes into view),
    `leader-changed` {leader: id or None}, and `error` {error}: a message that is not to be
    understood, or comes from another version of the page.

    A page that is left, also for the back/forward cache, is gone for the others; one that comes
    back from there is itself again. Where the browser has no Web Locks or no BroadcastChannel,
    `can_share` is False, and each tab is a group of its own, whose leader it is.
    """

    def __init__(self, channel: str = "app-sync", *, platform: Platform | None = None) -> None:
        if not isinstance(channel, str) or not channel:
            raise ConfigurationError(f"channel: expected a name, came {describe(channel)}")
        self._platform = platform or default_platform()
        self._name = channel
        self.tab_id = f"tab-{os.urandom(10).hex()}"
        """This tab's id, unlike any other's; a reload makes another."""
        self._since = float(self._platform.time_ms())
        self._emitter = Emitter(self._platform.report)
        self._state = SharedState(self.tab_id, self._send_shared, self._platform.report)
        self._introductions: dict[str, Introduction] = {}
        self._channel: Channel | None = None
        self._presence = Presence(
            self._platform,
            channel,
            self.tab_id,
            changed=self._tabs_changed,
            led=self._leader_changed,
            hint=self._hint,
        )
        self._cancels: list[Cancel] = [
            self._platform.watch(self),
            self._platform.watch_title(self._introduce),
        ]
        self._is_closed = False
        self._enter()

    # What a tab can know

    @property
    def can_share(self) -> bool:
        """Whether tabs can find one another in this browser."""
        return self._platform.can_share

    @property
    def tabs(self) -> list[Tab]:
        """All tabs that are there, this one among them, the oldest first."""
        tabs = [self._tab(tab_id) for tab_id in (self.tab_id, *self._presence.others)]
        return sorted(tabs, key=lambda tab: (math.inf if tab.since is None else tab.since, tab.id))

    @property
    def is_leader(self) -> bool:
        """Whether this tab is the one that does what only one should do."""
        return self._presence.is_leader or not (self.can_share or self._is_closed)

    @property
    def leader(self) -> str | None:
        """The id of the tab that leads; None while another takes over."""
        return self.tab_id if self.is_leader else self._presence.leader

    # What a tab can do

    def broadcast(self, type: str, payload: Any = None) -> None:
        """Send a message to all other tabs. `payload` is any JSON value.

        Raises NotCloneable (a TypeError) if it is not, and ConfigurationError (a ValueError) if
        `type` is none, or one of those that only come from here.
        """
        self._post(self._checked(type), payload)

    def send(self, tab_id: str, type: str, payload: Any = None) -> None:
        """Send a message to one tab; it is lost if that is gone. Raises as `broadcast`."""
        self._post(self._checked(type), payload, tab_id)

    def on(self, type: str, handler: Handler) -> Unsubscribe:
        """Call `handler(payload, tab_id)`, plain or async, for each such message of another tab."""
        return self._emitter.on(type, handler)

    def shared(self, name: str, default: Any = None) -> SharedValue:
        """Return the value `name`, which all tabs have in common; `default` until one writes it.

        Raises ConfigurationError if that cannot be a name.
        """
        return self._state.shared(name, default)

    def misheard(self, error: RealtimeError) -> None:
        """Tell the handlers of `error` of a message that could not be handled."""
        self._emitter.emit(ERROR, {"error": str(error)}, "")

    def depose(self, leader: str | None) -> None:
        """Lead from now on in the place of a tab that does not answer, if it still leads.

        None stands for one that was elected and does not take it up.
        """
        self._presence.depose(leader)

    def close(self) -> None:
        """Leave for good, and cancel async handlers that still run."""
        if not self._is_closed:
            self._is_closed = True
            self._leave()
            for cancel in self._cancels:
                cancel()
            self._emitter.cancel()

    # As a watcher of the platform

    def online(self) -> None:
        """Do nothing: other tabs are nearer than the network."""

    offline = online

    def visible(self) -> None:
        """Tell the others."""
        self._introduce()

    hidden = visible

    def left(self, kept: bool) -> None:  # noqa: ARG002 - it is left either way
        """Be gone at once: a browser keeps no page that holds locks, and a closed one is gone."""
        self._leave()

    def returned(self) -> None:
        """Be there again."""
        self._enter()

    # How it is done

    def _enter(self) -> None:
        if self._channel is None and not self._is_closed:
            self._channel = self._platform.open_channel(self._name, self._received)
            if self.can_share:
                self._presence.enter()
            self._post(CONNECTED, self._introduction())

    def _leave(self) -> None:
        if self._channel is None:
            return
        # The locks first, so that those who hear of it find them free.
        self._presence.leave()
        self._post(DISCONNECTED, {"tabId": self.tab_id})
        self._channel.close()
        self._channel = None

    def _post(self, type_: str, payload: Any, to: str | None = None) -> None:
        message = TabMessage(type_, payload, self._platform.time_ms(), self.tab_id, to)
        text = message.encode()
        if self._channel is not None:
            self._channel.post(text)

    def _introduction(self) -> dict[str, Any]:
        # A title may hold half a surrogate pair, which no message can.
        title = self._platform.title[: tab_messages.LONGEST_NAME].encode("utf-8", "replace")
        introduction = Introduction(title.decode(), self._since, self._platform.is_visible)
        # With what it has: a page that was left and comes back may have written the latest value.
        return {
            "tabId": self.tab_id,
            **introduction.as_payload(),
            "shared": self._state.snapshot(),
        }

    def _introduce(self) -> None:
        self._post(CHANGED, self._introduction())
        self._emitter.emit(TABS_CHANGED, {}, self.tab_id)

    def _hint(self) -> None:
        self._post(HINT, {})

    def _send_shared(self, writes: Any) -> None:
        self._post(SHARED, writes)

    def _received(self, text: str | None) -> None:
        try:
            message = tab_messages.decode(text)
            if message.tab_id == self.tab_id or message.to not in (None, self.tab_id):
                return
            if message.type not in RESERVED:
                self._emitter.emit(message.type, message.payload, message.tab_id)
                return
            self._act(message)
        except InvalidFrame as error:
            self.misheard(error)

    def _act(self, message: TabMessage) -> None:
        match message.type:
            case "tab-connected" | "tab-here" | "tab-changed":
                self._meet(message)
            case "tab-shared":
                self._state.merge(message.payload)
            case "tab-disconnected" | "tab-hint":
                self._presence.look()
            case _:
                raise InvalidFrame(f"type: expected none of the tab's own, came {message.type!r}")

    def _meet(self, message: TabMessage) -> None:
        introduction = Introduction.from_payload(message.payload)
        self._state.merge(message.payload.get("shared", {}))
        known = self._introductions.get(message.tab_id)
        self._introductions[message.tab_id] = introduction
        if message.tab_id not in self._presence.others:
            self._presence.look()
            self._forget_strangers()
        elif introduction != known:
            self._emitter.emit(TABS_CHANGED, {}, self.tab_id)
        if message.type == CONNECTED:
            self._post(HERE, self._introduction(), message.tab_id)

    def _forget_strangers(self) -> None:
        others = set(self._presence.others)
        strangers = [tab_id for tab_id in self._introductions if tab_id not in others]
        for tab_id in strangers[:-MOST_STRANGERS]:
            del self._introductions[tab_id]

    def _tabs_changed(self, came: list[str], went: list[str]) -> None:
        for tab_id in went:
            self._introductions.pop(tab_id, None)
            self._emitter.emit(DISCONNECTED, {"tabId": tab_id}, tab_id)
        for tab_id in came:
            self._emitter.emit(CONNECTED, {"tabId": tab_id}, tab_id)
        self._emitter.emit(TABS_CHANGED, {}, self.tab_id)

    def _leader_changed(self) -> None:
        leader = self._presence.leader
        self._emitter.emit(LEADER_CHANGED, {"leader": leader}, leader or "")
        self._emitter.emit(TABS_CHANGED, {}, self.tab_id)

    def _tab(self, tab_id: str) -> Tab:
        is_self = tab_id == self.tab_id
        if is_self:
            known: Introduction | None = Introduction(
                self._platform.title, self._since, self._platform.is_visible
            )
        else:
            known = self._introductions.get(tab_id)
        return Tab(
            tab_id,
            known.title if known else "",
            known.since if known else None,
            known.visible if known else False,
            tab_id == self.leader,
            is_self,
        )

    @staticmethod
    def _checked(type_: object) -> str:
        try:
            name = tab_messages.name_of("type", type_)
        except InvalidFrame as error:
            raise ConfigurationError(str(error)) from None
        if name in RESERVED:
            raise ConfigurationError(f"type: expected none of the tab's own, came {name!r}")
        return name
