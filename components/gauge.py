"""One figure over the last minute, as a line and in words."""

from collections import deque

INTERVAL = 1.0
"""Seconds between two samples."""

SPAN = 60
"""Seconds that a chart shows."""

DESCRIPTION_INTERVAL = 10.0
"""Seconds between changes to what a screen reader is told of a chart."""


class Gauge:
    """One figure of a connection over the last minute; None where it could not be measured.

    `unit` follows the figures as they are shown, `spoken` as a screen reader says them. With
    `holds` a value is good until the next, and not the mean since the one before.
    """

    def __init__(
        self, kind: str, label: str, unit: str, spoken: str, *, holds: bool = False
    ) -> None:
        self.kind = kind
        self.label = label
        self.holds = holds
        self._unit = unit
        self._spoken = spoken
        self._samples: deque[tuple[float, float | None]] = deque()
        self._described_at: float | None = None
        self.description = self._describe()

    def add(self, now: float, value: float | None) -> None:
        """Take a sample, and forget those that are too old."""
        self._samples.append((now, value))
        while self._samples[0][0] < now - SPAN - INTERVAL:
            self._samples.popleft()
        # Not every second: a screen reader may read again what changes.
        if self._described_at is None:
            is_due = value is not None
        else:
            is_due = now - self._described_at >= DESCRIPTION_INTERVAL
        if is_due:
            self._described_at = now
            self.description = self._describe()

    def points(self, now: float) -> tuple[list[float], list[float | None]]:
        """Return the times, relative to `now`, and the values."""
        times = [round(at - now, 2) for at, _ in self._samples]
        return times, [None if value is None else round(value, 3) for _, value in self._samples]

    @property
    def latest(self) -> str:
        """The last sample as it is shown."""
        value = self._last
        return "–" if value is None else number(value) + self._unit

    @property
    def summary(self) -> str:
        """The median and the highest of the samples as they are shown."""
        return self._summary(self._unit)

    @property
    def _last(self) -> float | None:
        return self._samples[-1][1] if self._samples else None

    def _summary(self, unit: str) -> str:
        values = sorted(value for _, value in self._samples if value is not None)
        if not values:
            return "no measurement yet" if self._described_at is None else "no measurement"
        median, highest = values[len(values) // 2], values[-1]
        return f"median {number(median)}{unit}, highest {number(highest)}{unit}"

    def _describe(self) -> str:
        value = self._last
        latest = "not measured" if value is None else number(value) + self._spoken
        summary = self._summary(self._spoken)
        if self._described_at is None:
            return f"{self.label}: {summary}"
        return f"{self.label}: now {latest}; {summary} in the last {SPAN} seconds"


def number(value: float) -> str:
    """Return a figure as it is read: 0.8, 12, 1,234."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")
