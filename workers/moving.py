"""What becomes of values over time, and how they are spread."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from workers.aggregates import aggregate, is_finite, numbers
from workers.values import are_rising

MOST_POINTS = 10_000
MOST_BINS = 1000


def moving(
    times: list[Any],
    values: list[Any] | None,
    *,
    span: float | None,
    operation: str,
    points: int,
    percentile: object = None,
) -> list[dict[str, Any]]:
    """Return an aggregate of what lies in the `span` that ends at each of `points` times.

    They are spread evenly from the first time to the last; `span` is in the unit of the times.
    A window has what is later than its begin, and no later than its end. Without a `span` each
    begins where the one before it ends. Rows without a time are left out. Raises InvalidCall.
    """
    if not 1 <= points <= MOST_POINTS:
        raise InvalidCall(f"points: expected 1 to {MOST_POINTS}, came {describe(points)}")
    if span is not None and not (math.isfinite(span) and span > 0):
        raise InvalidCall(f"span: expected a positive number, came {describe(span)}")
    at, in_order = _in_time(times, values)
    if not at:
        return []
    first, last = at[0], at[-1]
    try:
        step = (last - first) / (points - 1) if points > 1 else 0
    except OverflowError:
        step = math.inf
    if step == math.inf:
        raise InvalidCall("time_field: expected times that are not so far apart")
    found = []
    start_row = 0
    for number in range(points if last > first else 1):
        end = first + step * number if number < points - 1 else last
        end_row = bisect_right(at, end)
        if span is not None:
            start_row = bisect_right(at, end - span)
        part = None if in_order is None else in_order[start_row:end_row]
        count = end_row - start_row
        value = aggregate(operation, part, count, percentile)
        found.append({"time": end, "value": value, "count": count})
        start_row = end_row
    return found


def _in_time(times: list[Any], values: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    """Return the times that are finite, rising, and their values."""
    try:
        ends = (times[:1], times[-1:])  # of those that rise, all the others lie between
        if math.isfinite(sum(times)) and are_rising(times) and all(map(_is_time, chain(*ends))):
            return times, values
    except (TypeError, OverflowError):
        numbers(times)
    known = [n for n, time in enumerate(times) if _is_time(time)]
    known.sort(key=times.__getitem__)
    return [times[n] for n in known], None if values is None else [values[n] for n in known]


def _is_time(value: Any) -> bool:
    """Tell whether a number is one that a float can hold."""
    try:
        return value is not None and math.isfinite(value)
    except OverflowError:
        return False


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
        finite = [value for value in there if is_finite(value)]
    # What is not given is no reason to have no range.
    if low is None:
        low = min(finite, default=0 if high is None else high)
        low = low if high is None else min(low, high)
    if high is None:
        high = max(low, max(finite, default=low))
    if not (is_finite(low) and is_finite(high) and low <= high):
        raise InvalidCall(f"low, high: expected a range, came {describe(low)} to {describe(high)}")
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
        if (width := high - low) == math.inf:
            raise OverflowError
        # Multiplied first: whole numbers on a border are not rounded into the part before.
        found = Counter(map(int, [(value - low) * bins / width for value in values]))
    except OverflowError:  # a range that no float holds
        begin, whole = Fraction(low), Fraction(high) - Fraction(low)
        found = Counter(int((Fraction(value) - begin) * bins / whole) for value in values)
    # The greatest value, or one that was rounded up to it, belongs to the last part.
    found[bins - 1] += sum(found.pop(number) for number in list(found) if number >= bins)
    return [found[number] for number in range(bins)]
