"""Checks for options. Each returns the value, or says what was expected and what came."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection

from .describe import describe
from .errors import ConfigurationError


def seconds(name: str, value: object) -> float:
    """Return a positive, finite number of seconds, or raise ConfigurationError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an integer that no float holds
            number = float(value)
            if math.isfinite(number) and number > 0:
                return number
    raise ConfigurationError(f"{name}: expected a positive number, came {describe(value)}")


def count(name: str, value: object, *, at_least: int = 0) -> int:
    """Return a whole number from `at_least` up, or raise ConfigurationError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= at_least:
        return value
    expected = f"a whole number from {at_least} up"
    raise ConfigurationError(f"{name}: expected {expected}, came {describe(value)}")


def choice(name: str, value: object, choices: Collection[str]) -> str:
    """Return one of `choices`, or raise ConfigurationError."""
    if isinstance(value, str) and value in choices:
        return value
    expected = f"one of {', '.join(choices)}"
    raise ConfigurationError(f"{name}: expected {expected}, came {describe(value)}")


def interval_range(low: object, high: object) -> tuple[float, float]:
    """Return `reconnect_interval` and `reconnect_interval_max`, or raise ConfigurationError."""
    base = seconds("reconnect_interval", low)
    cap = seconds("reconnect_interval_max", high)
    if cap < base:
        raise ConfigurationError(
            f"reconnect_interval_max: expected at least reconnect_interval ({base}), came {cap}"
        )
    return base, cap
