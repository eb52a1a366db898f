"""How long to wait before the next attempt to connect."""

from __future__ import annotations

from collections.abc import Callable

HEALTHY_AFTER = 5.0
"""Seconds a connection must live before it counts as a success."""

LONGEST_WISH = 3600.0
"""Seconds a server may ask for; more would be a slip, or no better than to give up."""


class Backoff:
    """Exponential backoff with full jitter, shared by everything that reconnects.

    RFC 6455 §7.2.3: "clients SHOULD use some form of backoff"; the first delay is random, later
    ones grow ("such as truncated binary exponential backoff"). The formula is "full jitter" from
    Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    `base` and `cap` are in seconds; `random` returns a number in [0, 1).
    """

    def __init__(self, base: float, cap: float, random: Callable[[], float]) -> None:
        self._base = base
        self._cap = cap
        self._random = random
        self._up_since: float | None = None
        self.attempts = 0

    def next_delay(self, at_least: float = 0.0) -> float:
        """Count an attempt and return the seconds to wait before it.

        `at_least` is what the server asked for. The jitter comes on top: otherwise all whom it
        told the same would come back in the same moment. It counts up to an hour.
        """
        # 2**32 times any base is past any cap, and larger powers no longer fit a float.
        ceiling = min(self._cap, self._base * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return min(at_least, LONGEST_WISH) + self._random() * ceiling

    def up(self, now: float) -> None:
        """Take note that the connection opened."""
        self._up_since = now

    def down(self, now: float) -> bool:
        """Take note that it closed; return whether it had been healthy.

        A server that accepts and drops at once is not hammered: only a connection that was
        healthy makes the attempts count from zero again.
        """
        healthy = self._up_since is not None and now - self._up_since >= HEALTHY_AFTER
        self._up_since = None
        if healthy:
            self.attempts = 0
        return healthy

    def reset(self) -> None:
        """Count from zero again, because a person or the browser asked."""
        self.attempts = 0
