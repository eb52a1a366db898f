"""When the browser's circumstances allow another attempt to connect."""

from __future__ import annotations

HIDDEN_PAUSE = 60.0
"""Seconds for which a page that nobody sees leaves the network alone after a loss."""


class Circumstances:
    """The network, the page, and whether the client has been paused.

    An open connection is kept without a network and on a page that is hidden, but not while the
    client is paused, nor on a page that has been left for another.
    """

    def __init__(self) -> None:
        self.paused = False
        self.forget_the_browser()

    def forget_the_browser(self) -> None:
        """Begin anew, as somebody does who hears no news any more."""
        # Until an event says otherwise: a browser that has only the loopback says it is offline.
        self.online = True
        self.visible = True
        self.left = False

    @property
    def allow_attempts(self) -> bool:
        """Whether an attempt makes sense at all."""
        return self.online and self.allow_connections

    @property
    def allow_connections(self) -> bool:
        """Whether there may be a connection, if somebody insists."""
        return not self.paused and not self.left

    def pause(self, delay: float) -> float:
        """Return the seconds to wait where `delay` would do for a page that is seen."""
        return delay if self.visible else max(delay, HIDDEN_PAUSE)
