"""Where to connect to."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from .describe import describe
from .errors import ConfigurationError, ConnectionFailed
from .platform import Platform

UrlProvider = Callable[[], str | Awaitable[str]]
Url = str | UrlProvider
"""A URL, or what returns one (plain or async) and is asked at each attempt to connect."""


class UrlSource:
    """Knows the URL, or asks for it. It may be relative to the page.

    Raises ConfigurationError if `url` is of another type, or text that is no such URL.
    """

    def __init__(self, url: Url, platform: Platform, *, websocket: bool = False) -> None:
        self._platform = platform
        self._websocket = websocket
        self._provider: UrlProvider | None = None
        self.current = ""
        """The URL of the latest attempt, absolute."""
        if isinstance(url, str):
            self.current = platform.resolve(url, websocket=websocket)
        elif callable(url):
            self._provider = url
        else:
            raise ConfigurationError(f"url: expected text or a function, came {describe(url)}")

    def __bool__(self) -> bool:
        """Whether there is anything to ask."""
        return self._provider is not None

    async def ask(self) -> None:
        """Renew `current`. Raises ConnectionFailed if the provider does not deliver."""
        if self._provider is None:
            return
        try:
            answer = self._provider()
            url = await answer if inspect.isawaitable(answer) else answer
            if not isinstance(url, str):
                raise ConfigurationError(f"url: expected text, came {describe(url)}")
            self.current = self._platform.resolve(url, websocket=self._websocket)
        except Exception as error:
            # Not its text: whatever a provider says about a URL may contain a ticket.
            raise ConnectionFailed(f"url provider: {type(error).__name__}") from error
