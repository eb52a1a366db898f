"""When the browser's circumstances allow another attempt to connect."""

from __future__ import annotations

HIDDEN_PAUSE = 60.0
"""Seconds for which a page that nobody sees leaves the network alone after a loss."""


class Circumstances:
    """The network, the page's visibility, and whether the client has been paused.

    An open connection is kept under all but the last; the others decide about reconnecting.
    """

    def __init__(self) -> None:
        # Until an event says otherwise: a browser that has only the loopback says it is offline.
        self.online = True
        self.visible = True
        self.paused = False

    @property
    def allow_attempts(self) -> bool:
        """Whether an attempt makes sense at all."""
        return self.online and not self.paused

    def pause(self, delay: float) -> float:
        """Return the seconds to wait where `delay` would do for a page that is seen."""
        return delay if self.visible else max(delay, HIDDEN_PAUSE)
