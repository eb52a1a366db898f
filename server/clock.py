"""The time, as the protocol writes it."""

from __future__ import annotations

import time


def now() -> int:
    """Return the milliseconds since the Unix epoch, as JavaScript's `Date.now()` does."""
    return time.time_ns() // 1_000_000
