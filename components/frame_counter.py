"""How smoothly the page runs."""

from collections.abc import Callable

from pyscript.js_modules import frame_rate

from components.timing import every
from services.platform import Cancel, Platform

INTERVAL = 1.0
"""Seconds between two counts."""


class FrameCounter:
    """Tells the frames a second, and the milliseconds of the longest of them, while it counts."""

    def __init__(self, platform: Platform, told: Callable[[float, float], None]) -> None:
        self._platform = platform
        self._told = told
        self._end: Cancel | None = None

    def begin(self) -> None:
        """Count. Does nothing if it does already."""
        if self._end is not None:
            return
        counter = frame_rate.count()
        end = every(self._platform, INTERVAL, lambda: self._told(*counter.take()))

        def end_both() -> None:
            end()
            counter.stop()

        self._end = end_both

    def end(self) -> None:
        """Count no longer."""
        if self._end is not None:
            self._end()
            self._end = None
