"""What becomes of values over time, and how they are spread."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from workers.aggregates import aggregate, numbers
from workers.values import are_rising

MOST_POINTS = 10_000
MOST_BINS = 1000


def moving(
    times: list[Any],
    values: list[Any] | None,
    *,
    span: float,
    operation: str,
    points: int,
    percentile: object = None,
) -> list[dict[str, Any]]:
    """Return an aggregate of what lies in the `span` that ends at each of `points` times.

    They are spread evenly from the first time to the last; `span` is in the unit of the times.
    A window has what is later than its begin, and no later than its end. Rows without a time
    are left out. Raises InvalidCall.
    """
    if not 1 <= points <= MOST_POINTS:
        raise InvalidCall(f"points: expected 1 to {MOST_POINTS}, came {describe(points)}")
    if not (math.isfinite(span) and span > 0):
        raise InvalidCall(f"span: expected a positive number, came {describe(span)}")
    at, in_order = _in_time(times, values)
    if not at:
        return []
    first, last = at[0], at[-1]
    step = (last - first) / max(1, points - 1)
    found = []
    for number in range(points if last > first else 1):
        end = first + step * number if number < points - 1 else last
        start_row, end_row = bisect_right(at, end - span), bisect_right(at, end)
        part = None if in_order is None else in_order[start_row:end_row]
        count = end_row - start_row
        value = aggregate(operation, part, count, percentile)
        found.append({"time": end, "value": value, "count": count})
    return found


def _in_time(times: list[Any], values: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    """Return the times that are finite, rising, and their values."""
    try:
        if math.isfinite(sum(times)) and are_rising(times):
            return times, values
    except (TypeError, OverflowError):
        numbers(times)
    known = [n for n, time in enumerate(times) if time is not None and math.isfinite(time)]
    known.sort(key=times.__getitem__)
    return [times[n] for n in known], None if values is None else [values[n] for n in known]


def histogram(
    values: list[Any], *, bins: int, low: float | None, high: float | None
) -> dict[str, Any]:
    """Return how many values lie in each of `bins` equal parts from `low` to `high`.

    These are the least and the greatest value if not given. The last part has its end, the
    others do not. `missing` counts what is None or NaN, `outside` what lies beyond (infinities
    always do). Raises InvalidCall.
    """
    if not 1 <= bins <= MOST_BINS:
        raise InvalidCall(f"bins: expected 1 to {MOST_BINS}, came {describe(bins)}")
    there = numbers(values)
    finite = there
    if not _is_finite_sum(there):
        there = [value for value in there if value == value]
        finite = [value for value in there if isinstance(value, int) or math.isfinite(value)]
    if finite:
        low = min(finite) if low is None else low
        high = max(finite) if high is None else high
    low, high = (0 if low is None else low), (0 if high is None else high)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InvalidCall(f"low, high: expected a range, came {low!r:.40} to {high!r:.40}")
    if finite and not low <= min(finite) <= max(finite) <= high:
        finite = [value for value in finite if low <= value <= high]
    return {
        "low": low,
        "high": high,
        "counts": _counts(finite, bins, low, high),
        "outside": len(there) - len(finite),
        "missing": len(values) - len(there),
    }


def _is_finite_sum(values: Sequence[float]) -> bool:
    try:
        return math.isfinite(sum(values))
    except OverflowError:
        return False


def _counts(values: Sequence[float], bins: int, low: float, high: float) -> list[int]:
    """Count values that are all within the range."""
    if low == high:
        return [len(values), *[0] * (bins - 1)]
    try:
        scale = bins / (high - low)
        if not 0 < scale < math.inf:
            raise OverflowError
        found = Counter(map(int, [(value - low) * scale for value in values]))
    except OverflowError:  # a range that no float holds
        begin, width = Fraction(low), Fraction(high) - Fraction(low)
        found = Counter(int((Fraction(value) - begin) * bins / width) for value in values)
    # The greatest value, or one that was rounded up to it, belongs to the last part.
    found[bins - 1] += sum(found.pop(number) for number in list(found) if number >= bins)
    return [found[number] for number in range(bins)]


def touching(times: list[Any], points: int) -> float:
    """Return a span with which `points` windows touch and do not overlap."""
    known = [time for time in numbers(times) if time == time]
    length = max(known) - min(known) if known else 0
    return length / max(1, points - 1) or 1
