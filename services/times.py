"""Times as people read them."""

from __future__ import annotations

from datetime import datetime

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def relative_time(timestamp: float, now: float) -> str:
    """Return "Just now", "5m ago", "3h ago", or the date a day later. Both in milliseconds.

    A time in the future is just now: clocks differ.
    """
    elapsed = now - timestamp
    if elapsed < MINUTE:
        return "Just now"
    if elapsed < HOUR:
        return f"{int(elapsed // MINUTE)}m ago"
    if elapsed < DAY:
        return f"{int(elapsed // HOUR)}h ago"
    return datetime.fromtimestamp(timestamp / 1000).astimezone().date().isoformat()
