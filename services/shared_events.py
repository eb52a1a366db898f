"""One event stream for all tabs, with the interface of an `SSEClient` in each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from .actions import DeliverEvents, Emit, SSEAction
from .connection_stats import ConnectionStats
from .errors import ConfigurationError
from .link import Link
from .link_ends import LinkPlatform
from .platform import Platform, default_platform
from .recent import Recent
from .relay import AT_REST, GroupPlatform
from .shared_connection import AT_ONCE, FOR_EVER, SOON
from .shared_messages import Status
from .shared_stream import StreamRelay, Upstream, as_items
from .sse_client import SSEClient
from .sse_protocol import State
from .standing import Standing
from .tab_sync import TabSync
from .tokens import Token, TokenSource
from .urls import Url, UrlSource


class SharedEvents(SSEClient):
    """An `SSEClient` whose stream is shared by all tabs that have the same one.

    As `SharedConnection` does for a WebSocket: the tab that leads has the stream, each tab has its
    own handlers and position, and is told every event once. The options are those of `SSEClient`,
    and must be the same in every tab; `name` is needed where `url` is a provider.
    """

    def __init__(
        self,
        url: Url,
        *,
        tabs: TabSync,
        token: Token = None,
        name: str | None = None,
        resume_after_reload: bool = True,
        platform: Platform | None = None,
        **settings: Any,
    ) -> None:
        real = platform or default_platform()
        self._tabs = tabs
        self._link: Link | None = None
        self._standing = Standing()
        if not tabs.can_share:
            super().__init__(
                url,
                token=token,
                resume_after_reload=resume_after_reload,
                platform=real,
                **settings,
            )
            return
        UrlSource(url, real)
        TokenSource(token)
        if name is None:
            if not isinstance(url, str):
                raise ConfigurationError("name: expected one where url is a provider, came none")
            name = real.resolve(url)
        self._recent = Recent()

        def make(*watching: Any) -> Upstream:
            group = cast(Platform, GroupPlatform(real, tabs))
            return Upstream(url, *watching, token=token, platform=group, **settings)

        make(lambda _action: None)  # wrong options are told here, not where this tab leads
        self._link = link = Link(
            real,
            tabs,
            f"events:{name}",
            lead=lambda: self._lead(make, real),
            told=self._told,
        )
        super().__init__(
            name,
            reconnect_interval=AT_ONCE,
            reconnect_interval_max=SOON,
            stall_timeout=FOR_EVER,
            resume_after_reload=resume_after_reload,
            platform=cast(Platform, LinkPlatform(real, link, lambda: self.last_event_id or None)),
        )
        link.start()

    @property
    def state(self) -> State:
        """One of closed, authorizing, connecting, open, waiting, ended."""
        return self._standing.state(super().state, is_paused=self.is_paused)

    @property
    def last_close(self) -> tuple[int | None, str] | None:
        """HTTP status (None where there was none) and reason of the last loss or refusal."""
        return self._standing.last_close(super().last_close)

    @property
    def attempts(self) -> int:
        """Reconnections counted since the last healthy stream."""
        return self._standing.attempts(super().attempts)

    @property
    def stats(self) -> ConnectionStats:
        """This tab's part in the stream at this moment, in numbers."""
        return replace(
            super().stats,
            state=self.state,
            attempts=self.attempts,
            last_close=self.last_close,
        )

    def connect(self) -> None:
        """Open the stream, now or with the next of the attempts; `connected` tells when."""
        if self._link is not None and self.state is State.WAITING:
            self._link.insist()
        super().connect()

    def renew(self) -> None:
        """Connect anew, with a token that is asked for again: somebody has logged in or out."""
        if self._link is None:
            if self.state not in AT_REST:
                self.pause("renewed")
                self.unpause()
        elif isinstance(self._link.relay, StreamRelay):
            self._link.relay.renew()

    def close(self) -> None:
        """Disconnect, and do nothing for the other tabs any more."""
        self.disconnect()
        if self._link is not None:
            self._link.close()

    def _lead(self, make: Any, real: Platform) -> StreamRelay:
        assert self._link is not None
        if self._link.has_missed:
            # The others are ahead: each is told by the server what it missed itself.
            self._recent.restart(None)
        return StreamRelay(
            self._tabs,
            self._link.topic,
            self._link.take,
            self._recent,
            make=make,
            call_later=real.call_later,
            told=lambda payload: self._emitter.emit("error", payload),
        )

    def _told(self, status: Status) -> None:
        self._standing.status = status

    def _perform(self, action: SSEAction) -> None:
        if self._link is not None and self._link.relay is None:
            self._follow(action)
        super()._perform(action)

    def _follow(self, action: SSEAction) -> None:
        """Keep what a leader would need, in case that this tab becomes one."""
        position = self.last_event_id or None
        match action:
            case DeliverEvents(events):
                self._recent.add(as_items(events))
            case Emit("connected") if self._recent.last != position:
                self._recent.restart(position)
            case Emit("reset"):
                self._recent.restart(position)
