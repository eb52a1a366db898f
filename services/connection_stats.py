"""What can be known of a connection from outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """A connection at one moment. What its kind does not have is 0 or None.

    `last_close` is the code, or the HTTP status, and the reason of the last loss; `queued` waits
    to be sent, `unacknowledged` was sent and waits for its `ack`; `buffered` bytes were handed to
    the browser and have not left it; `round_trip` is in seconds; `received` and `sent` count
    messages of the application, `dropped` those the queue gave up.
    """

    state: str
    attempts: int
    last_close: tuple[int | None, str] | None
    received: int
    sent: int = 0
    queued: int = 0
    unacknowledged: int = 0
    buffered: int = 0
    dropped: int = 0
    round_trip: float | None = None
