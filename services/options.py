"""Checks for options. Each returns the value, or says what was expected and what came."""

from __future__ import annotations

import math

from .describe import describe
from .errors import ConfigurationError


def seconds(name: str, value: object) -> float:
    """Return a positive, finite number of seconds, or raise ConfigurationError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and number > 0:
            return number
    raise ConfigurationError(f"{name}: expected a positive number, came {describe(value)}")


def count(name: str, value: object) -> int:
    """Return a whole number from 0 up, or raise ConfigurationError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigurationError(f"{name}: expected a whole number from 0 up, came {describe(value)}")


def interval_range(low: object, high: object) -> tuple[float, float]:
    """Return `reconnect_interval` and `reconnect_interval_max`, or raise ConfigurationError."""
    base = seconds("reconnect_interval", low)
    cap = seconds("reconnect_interval_max", high)
    if cap < base:
        raise ConfigurationError(
            f"reconnect_interval_max: expected at least reconnect_interval ({base}), came {cap}"
        )
    return base, cap
