"""One WebSocket for all tabs, with the interface of a `WebSocketClient` in each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from .actions import Deliver, Emit, Resumed, WebSocketAction
from .connection_stats import ConnectionStats
from .errors import ConfigurationError
from .link import Link
from .link_ends import LinkPlatform
from .platform import Platform, default_platform
from .recent import Recent
from .relay import AT_REST, GroupPlatform
from .shared_messages import Status
from .shared_socket import SocketRelay, Upstream
from .standing import Standing
from .tab_sync import TabSync
from .tokens import Token, TokenSource
from .urls import Url, UrlSource
from .websocket_client import WebSocketClient
from .websocket_options import WebSocketOptions
from .websocket_protocol import State

FOR_EVER = 1e9
"""Seconds. Whether a server answers in time is for the leader to judge."""

AT_ONCE, SOON = 0.005, 0.02
"""Seconds until a link is opened again: the leader is near, and itself waits for the server."""

UNLIMITED = 1_000_000
"""Frames. What the leader passes on is bounded by what each tab may have under way."""


class SharedConnection(WebSocketClient):
    """A `WebSocketClient` whose socket is shared by all tabs that have the same connection.

    The tab that leads has the socket; the others reach it through that tab. Each tab has its own
    handlers, queue, requests and position: it is told every message once, and a request is answered
    to the tab that made it. When the leader is closed, crashes or freezes, another tab connects,
    and all go on where they were: what was missed is resumed, and what was not acknowledged is sent
    again.

    The options are those of `WebSocketClient`, and must be the same in every tab. `name` stands for
    the connection among the tabs: it is needed where `url` is a provider. The token is asked for in
    the tab that leads, and never leaves it. Where tabs cannot share (`tabs.can_share`), each has a
    connection of its own.

    `close` ends it, which `disconnect` does not: a tab that is disconnected may lead the others.
    """

    def __init__(
        self,
        url: Url,
        *,
        tabs: TabSync,
        token: Token = None,
        name: str | None = None,
        platform: Platform | None = None,
        **settings: Any,
    ) -> None:
        real = platform or default_platform()
        self._tabs = tabs
        self._link: Link | None = None
        self._standing = Standing()
        if not tabs.can_share:
            super().__init__(url, token=token, platform=real, **settings)
            return
        background = settings.pop("background", False)
        resume_after_reload = settings.pop("resume_after_reload", False)
        # Wrong options are told here, not where this tab leads.
        high_water = WebSocketOptions(**settings).high_water
        UrlSource(url, real, websocket=True)
        TokenSource(token)
        own: dict[str, Any] = {
            key: settings.pop(key) for key in ("queue_limit", "queue_policy") if key in settings
        }
        if name is None:
            if not isinstance(url, str):
                raise ConfigurationError(
                    "name: expected one for a URL that is asked for, came none"
                )
            name = real.resolve(url, websocket=True)
        self._recent = Recent()

        def make(*watching: Any) -> Upstream:
            return Upstream(
                url,
                *watching,
                token=token,
                queue_limit=UNLIMITED,
                background=background,
                platform=cast(Platform, GroupPlatform(real, tabs)),
                **settings,
            )

        def lead() -> SocketRelay:
            if link.has_missed:
                # The others are ahead: each is told by the server what it missed itself.
                self._recent.restart(None)
            return SocketRelay(
                tabs,
                link.topic,
                link.take,
                self._recent,
                make=make,
                now=real.now,
                told=lambda payload: self._emitter.emit("error", payload),
                high_water=high_water,
            )

        link = self._link = Link(real, tabs, f"websocket:{name}", lead=lead, told=self._told)
        super().__init__(
            name,
            platform=cast(
                Platform,
                LinkPlatform(real, link, lambda: self._protocol.session.history.last, high_water),
            ),
            heartbeat_interval=None,
            connect_timeout=FOR_EVER,
            max_reconnect_attempts=None,
            high_water=high_water,
            reconnect_interval=AT_ONCE,
            reconnect_interval_max=SOON,
            resume_after_reload=resume_after_reload,
            **own,
        )
        link.start()

    @property
    def state(self) -> State:
        """One of closed, authorizing, connecting, open, waiting, failed, refused."""
        return self._standing.state(super().state, is_paused=self.is_paused)

    @property
    def last_close(self) -> tuple[int | None, str] | None:
        """Code (None where an attempt got no answer) and reason of the last close."""
        return self._standing.last_close(super().last_close)

    @property
    def attempts(self) -> int:
        """Reconnections counted since the last healthy connection."""
        return self._standing.attempts(super().attempts)

    @property
    def stats(self) -> ConnectionStats:
        """This tab's part in the connection at this moment, in numbers."""
        own = super().stats
        status = self._standing.status
        if status is None:
            return own
        return replace(
            own,
            state=self.state,
            attempts=self.attempts,
            last_close=self.last_close,
            round_trip=status.round_trip,
        )

    async def authenticate(self) -> None:
        """Ask for the token again, and tell it the server, in the tab that leads."""
        if self._link is None:
            await super().authenticate()
        elif isinstance(self._link.relay, SocketRelay):
            await self._link.relay.authenticate()

    def renew(self) -> None:
        """Connect anew, with a token that is asked for again: somebody has logged in or out."""
        if self._link is None:
            if self.state not in AT_REST:
                self.pause("renewed")
                self.unpause()
        elif isinstance(self._link.relay, SocketRelay):
            self._link.relay.renew()

    def close(self) -> None:
        """Disconnect, and do nothing for the other tabs any more."""
        self.disconnect()
        if self._link is not None:
            self._link.close()

    async def _connect(self) -> None:
        if self._link is not None and self.state in (State.WAITING, State.FAILED):
            self._link.insist()
        await super()._connect()

    def _told(self, status: Status) -> None:
        before, self._standing.status = self._standing.status, status
        has_failed = status.state == State.FAILED
        if has_failed and (before is None or before.state != State.FAILED):
            self._emitter.emit("reconnect-failed", {})

    def _perform(self, action: WebSocketAction) -> None:
        if self._link is not None and self._link.relay is None:
            self._follow(action)
        super()._perform(action)

    def _follow(self, action: WebSocketAction) -> None:
        """Keep what a leader would need, in case that this tab becomes one."""
        position = self._protocol.session.history.last
        match action:
            case Deliver(news):
                self._recent.add([message.as_dict() for message in news])
            case Emit("connected") if self._recent.last != position:
                self._recent.restart(position)
            case Resumed() if self._recent.last is None:
                self._recent.restart(position)
            case Emit("reset"):
                self._recent.restart(position)
