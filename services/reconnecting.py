"""What the protocols of both clients decide alike: how circumstances change their attempts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from .backoff import Backoff
from .circumstances import Circumstances

ActionT = TypeVar("ActionT")


class Reconnecting(ABC, Generic[ActionT]):
    """Hears what the browser tells. A connection is kept under all circumstances but a pause."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._circumstances = Circumstances()

    @property
    def attempts(self) -> int:
        """Reconnections since the last healthy connection, or since a person or network asked."""
        return self._backoff.attempts

    def online(self, now: float) -> list[ActionT]:
        """Use the network that came back, or see whether the connection outlived the change."""
        self._circumstances.online = True
        return self._wake(now)

    def offline(self, now: float) -> list[ActionT]:
        """Stop trying until there is a network. What is open is left to its watchdog."""
        self._circumstances.online = False
        self._postpone(now)
        return []

    def visible(self, now: float) -> list[ActionT]:
        """Somebody looks: do not keep them waiting."""
        self._circumstances.visible = True
        return self._wake(now)

    def hidden(self, now: float) -> list[ActionT]:
        """Nobody looks: keep a connection, but take time to reconnect."""
        self._circumstances.visible = False
        self._postpone(now)
        return []

    def pause(self, now: float, reason: str) -> list[ActionT]:
        """Drop the connection, and make none until `unpause`; what waits to be sent is kept."""
        self._circumstances.paused = True
        return self._let_go(now, reason)

    def unpause(self, now: float) -> list[ActionT]:
        """Connect again, if that was wanted."""
        self._circumstances.paused = False
        return self._wake(now)

    def leave(self, now: float) -> list[ActionT]:
        """Let go of the network, since the page is left: a browser keeps none that holds on."""
        self._circumstances.left = True
        return self._let_go(now, "the page was left")

    def come_back(self, now: float) -> list[ActionT]:
        """Connect again, if that was wanted: the page is shown again."""
        self._circumstances.left = False
        return self._wake(now)

    def unwatched(self) -> None:
        """Forget what the browser told: nobody will tell when it changes."""
        self._circumstances.forget_the_browser()

    @property
    def is_paused(self) -> bool:
        """Whether `pause` keeps it from connecting."""
        return self._circumstances.paused

    @abstractmethod
    def _wake(self, now: float) -> list[ActionT]:
        """Attempt at once, if an attempt is waited for and circumstances allow it."""

    @abstractmethod
    def _postpone(self, now: float) -> None:
        """Move the attempt that is waited for to when circumstances allow it."""

    @abstractmethod
    def _let_go(self, now: float, reason: str) -> list[ActionT]:
        """Close what is open or being opened, and wait."""
