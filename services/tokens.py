"""Where access tokens come from."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from .describe import describe
from .errors import ConfigurationError, ConnectionFailed

TokenProvider = Callable[[], str | Awaitable[str | None] | None]
Token = str | TokenProvider | None
"""A token, or what returns one (plain or async) and is asked at each attempt to connect.

A provider with a method `refused(token)` is told there of one that was not good.
"""


class TokenSource:
    """Asks for the token. No text form and no error of this class holds one.

    Raises ConfigurationError if `token` is of another type, or text that cannot be a token.
    """

    def __init__(self, token: Token) -> None:
        if isinstance(token, str):
            checked_token(token)
        elif token is not None and not callable(token):
            raise ConfigurationError(
                f"token: expected text, a function or None, came {type(token).__name__}"
            )
        self._token = token
        self._last: str | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to ask."""
        return self._token is not None

    def refused(self) -> None:
        """Tell a provider that wants to know that its last token was not good."""
        hook = getattr(self._token, "refused", None)
        if callable(hook) and self._last is not None:
            hook(self._last)

    async def get(self) -> str | None:
        """Return a token, or None from a provider that has none.

        Raises ConnectionFailed if the provider does not deliver; its own error is the cause.
        """
        if self._token is None or isinstance(self._token, str):
            return self._token
        try:
            answer = self._token()
            token = await answer if inspect.isawaitable(answer) else answer
            self._last = None if token is None else checked_token(token)
            return self._last
        except Exception as error:
            # Not its text: whatever a provider says about a token may contain it.
            raise ConnectionFailed(f"token provider: {type(error).__name__}") from error


def checked_token(token: object) -> str:
    """Return `token` if it can be one. Raises ConfigurationError, which does not tell it."""
    # RFC 6750 §2.1 allows fewer characters still; these are what a header can carry.
    if isinstance(token, str) and token and all("!" <= character <= "~" for character in token):
        return token
    came = f"{len(token)} characters" if isinstance(token, str) else describe(type(token).__name__)
    raise ConfigurationError(f"token: expected text of visible ASCII characters, came {came}")
