"""The options of a WebSocket client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from . import options
from .outbox import QueuePolicy


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """Checked when made: raises ConfigurationError. Times are in seconds, `high_water` in bytes.

    `heartbeat_interval=None` sends no pings; `max_reconnect_attempts=None` never gives up.
    """

    reconnect_interval: float = 1
    reconnect_interval_max: float = 30
    heartbeat_interval: float | None = 30
    heartbeat_timeout: float = 10
    connect_timeout: float = 10
    max_reconnect_attempts: int | None = 10
    queue_limit: int = 1000
    queue_policy: QueuePolicy = "raise"
    high_water: int = 1024 * 1024

    def __post_init__(self) -> None:
        options.interval_range(self.reconnect_interval, self.reconnect_interval_max)
        if self.heartbeat_interval is not None:
            options.seconds("heartbeat_interval", self.heartbeat_interval)
        options.seconds("heartbeat_timeout", self.heartbeat_timeout)
        options.seconds("connect_timeout", self.connect_timeout)
        if self.max_reconnect_attempts is not None:
            options.count("max_reconnect_attempts", self.max_reconnect_attempts)
        options.count("queue_limit", self.queue_limit)
        options.choice("queue_policy", self.queue_policy, get_args(QueuePolicy))
        options.count("high_water", self.high_water, at_least=1)
