"""What `connect` returns: to be awaited, or to be entered."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar


class Disconnectable(Protocol):
    """What can be connected can be disconnected."""

    def disconnect(self) -> None:
        """Close for good."""


ClientT = TypeVar("ClientT", bound=Disconnectable)


class Connecting(Coroutine[Any, Any, None], Generic[ClientT]):
    """An attempt that has not begun: `await` begins it, and so does `async with`.

    A coroutine in every respect, so that it can also be made a task of.
    """

    def __init__(self, attempt: Coroutine[Any, Any, None], client: ClientT) -> None:
        self._attempt = attempt
        self._client = client

    def __await__(self) -> Generator[Any, Any, None]:
        return self._attempt.__await__()

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._attempt.send(value)

    def throw(self, *exception: Any) -> Any:
        """Raise inside, as in a coroutine."""
        return self._attempt.throw(*exception)

    def close(self) -> None:
        """Give it up."""
        self._attempt.close()

    async def __aenter__(self) -> ClientT:
        try:
            await self._attempt
        except BaseException:
            # Nobody is left who would end the further attempts.
            self._client.disconnect()
            raise
        return self._client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
