"""Timers for elements."""

from collections.abc import Callable

from services.platform import Cancel, Platform


def every(platform: Platform, interval: float, function: Callable[[], None]) -> Cancel:
    """Call a function every `interval` seconds; return what ends that."""

    def tick() -> None:
        nonlocal cancel
        cancel = platform.call_later(interval, tick)
        function()

    cancel = platform.call_later(interval, tick)
    return lambda: cancel()
