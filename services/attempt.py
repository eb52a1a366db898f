"""One attempt of a client to connect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from .driver import Driver
from .errors import RealtimeError
from .platform import Platform
from .tasks import Tasks
from .tokens import TokenSource
from .urls import UrlSource

ActionT = TypeVar("ActionT")


class ProvidedProtocol(Protocol):
    """What an attempt tells its protocol of the providers."""

    def provided(self, now: float, token: str | None) -> list[Any]:
        """Go on with the attempt."""

    def provider_failed(self, now: float, error: RealtimeError) -> list[Any]:
        """Count a failed attempt."""


class Attempt(Generic[ActionT]):
    """Its providers being asked, and then what it opens. Once over it is deaf."""

    def __init__(self, platform: Platform, driver: Driver[ActionT]) -> None:
        self._platform = platform
        self._driver = driver
        self._asking: asyncio.Future[Any] | None = None
        self.is_over = False

    def ask(
        self,
        protocol: ProvidedProtocol,
        url: UrlSource,
        tokens: TokenSource,
        tasks: Tasks,
        url_known: Callable[[], None],
    ) -> None:
        """Ask both providers; `url_known` is called in between."""

        async def asking() -> None:
            try:
                await url.ask()
                url_known()
                token = await tokens.get()
            except RealtimeError as error:
                self.tell(protocol.provider_failed, error)
            else:
                self.tell(protocol.provided, token)

        self._asking = tasks.spawn(asking())

    def tell(self, event: Callable[..., list[Any]], *details: Any) -> None:
        """Tell the protocol of an event, unless the attempt is over."""
        if not self.is_over:
            self._driver.run(event(self._platform.now(), *details))

    def end(self) -> None:
        """Be deaf from now on, and ask no more."""
        self.is_over = True
        if self._asking is not None:
            self._asking.cancel()
