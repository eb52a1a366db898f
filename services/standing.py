"""How a shared connection stands, as one of its tabs sees it."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from .shared_messages import Status

StateT = TypeVar("StateT", bound=StrEnum)
Close = tuple[int | None, str]


class Standing:
    """A tab's own link says whether it is open. Why it is not yet, only the leader knows."""

    def __init__(self) -> None:
        self.status: Status | None = None
        """What the leader told last."""

    def state(self, own: StateT, *, is_paused: bool) -> StateT:
        """Return the connection's state, where that of the link is `own`."""
        if self.status is None or is_paused or own not in ("connecting", "waiting"):
            return own
        states = type(own)
        if self.status.state in ("authorizing", "connecting", "waiting", "failed"):
            return states(self.status.state)
        return states("connecting")

    def last_close(self, own: Close | None) -> Close | None:
        """Return why the connection was closed last, where the link was for `own` reasons."""
        if self.status is None or self.status.close_reason is None:
            return own
        # Where both were closed for one reason, the leader knows the server's own code.
        is_shared = own is None or own[1] == self.status.close_reason
        return (self.status.close_code, self.status.close_reason) if is_shared else own

    def attempts(self, own: int) -> int:
        """Return how often it was tried to connect."""
        return own if self.status is None else self.status.attempts
