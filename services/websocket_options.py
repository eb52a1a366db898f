"""The options of a WebSocket client."""

from __future__ import annotations

from dataclasses import dataclass

from . import options


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """Checked when made: raises ConfigurationError. Times are in seconds.

    `heartbeat_interval=None` sends no pings; `max_reconnect_attempts=None` never gives up.
    """

    reconnect_interval: float = 1
    reconnect_interval_max: float = 30
    heartbeat_interval: float | None = 30
    heartbeat_timeout: float = 10
    connect_timeout: float = 10
    max_reconnect_attempts: int | None = 10
    queue_limit: int = 1000

    def __post_init__(self) -> None:
        options.interval_range(self.reconnect_interval, self.reconnect_interval_max)
        if self.heartbeat_interval is not None:
            options.seconds("heartbeat_interval", self.heartbeat_interval)
        options.seconds("heartbeat_timeout", self.heartbeat_timeout)
        options.seconds("connect_timeout", self.connect_timeout)
        if self.max_reconnect_attempts is not None:
            options.count("max_reconnect_attempts", self.max_reconnect_attempts)
        options.count("queue_limit", self.queue_limit)
