"""Numbers about many values.

Rows without a value (the field missing, or None) do not count, except in `count`. Of no values,
`sum` and `average` are 0 and the others None. Whole numbers are added exactly, however long;
with fractions among them the sum is the one nearest to the exact one (`math.fsum`, for which whole
numbers above 2⁵³ are the nearest fraction). NaN makes every result NaN that depends on it, and is
one value to `distinct`. `min` and `max` take text as well as numbers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from services.describe import describe
from services.errors import InvalidCall
from workers.values import has_nan

Number = int | float
SMALLEST = 1e-290
"""A variance above which the squares that it is the sum of have lost nothing."""

NUMBER_TYPES = frozenset({int, float, bool})


def total(values: Sequence[Number]) -> Number:
    """Return the exact sum, rounded once. Raises TypeError if a value is no number."""
    try:
        if values and type(values[0]) is float:
            return math.fsum(values)
        added = sum(values)
        # Only whole numbers add up to one; with any other, the roundings have to be undone.
        return added if type(added) is int else math.fsum(values)
    except ValueError:
        return math.nan  # infinities of both signs
    except OverflowError:
        return _huge(values)


def average(values: Sequence[Number]) -> Number:
    """Return the mean, 0 of nothing."""
    if not values:
        return 0
    whole = total(values)
    try:
        return whole / len(values)
    except OverflowError:
        return whole // len(values)


def median(values: Sequence[Number]) -> Number | None:
    """Return the middle value, or the mean of the two."""
    return percentile(values, 50)


def percentile(values: Sequence[Number], part: float) -> Number | None:
    """Return the value that `part` per cent are at most, between two values in proportion.

    As `statistics.quantiles` with `method="inclusive"` does.
    """
    if not values:
        return None
    if has_nan(values):
        return math.nan
    ranked = sorted(values)
    position = (len(ranked) - 1) * part / 100
    at = min(int(position), len(ranked) - 1)
    low, high = ranked[at], ranked[min(at + 1, len(ranked) - 1)]
    share = position - at
    if not share or low == high:
        return low
    if not (is_finite(low) and is_finite(high)):
        return float(high) if is_finite(low) else low if is_finite(high) else math.nan
    try:
        between = low + (high - low) * share if share != 0.5 else (low + high) / 2
        if math.isfinite(between):
            return between
    except OverflowError:
        pass
    return _nearest(Fraction(low) + (Fraction(high) - Fraction(low)) * Fraction(share))


def stdev(values: Sequence[Number]) -> float | None:
    """Return the standard deviation of a sample, None of fewer than two values."""
    if len(values) < 2:
        return None
    if not all(map(is_finite, values)):
        return math.nan
    try:
        mean = math.fsum(values) / len(values)
        # Two passes (Welford's first form): as exact as it gets without fractions.
        deviations = [value - mean for value in values]
        squares = math.fsum([each * each for each in deviations])
        variance = (squares - math.fsum(deviations) ** 2 / len(values)) / (len(values) - 1)
        if SMALLEST < variance < math.inf:
            return math.sqrt(variance)
    except (OverflowError, ValueError):
        pass
    if min(values) == max(values):
        return 0.0
    try:  # squares that no float holds, or next to none
        return float(statistics.stdev(map(Fraction, values)))
    except OverflowError:
        return math.inf


def distinct(values: Sequence[Any]) -> int:
    """Return how many different values there are."""
    if has_nan(values):
        # One is not equal to itself, and may or may not be the same object.
        return distinct([value for value in values if value == value]) + 1
    try:
        return len(set(values))
    except TypeError:
        seen: list[Any] = []
        for value in values:
            if value not in seen:
                seen.append(value)
        return len(seen)


def _extreme(choose: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    def extreme(values: Sequence[Any]) -> Any:
        if not values:
            return None
        if has_nan(values):
            return math.nan
        try:
            return choose(values)
        except TypeError:
            raise InvalidCall(
                "field: expected numbers alone or text alone, came values that cannot be compared"
            ) from None

    return extreme


AGGREGATES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "sum": total,
    "average": average,
    "min": _extreme(min),
    "max": _extreme(max),
    "median": median,
    "stdev": stdev,
    "distinct": distinct,
}

OPERATIONS = ("count", *AGGREGATES, "percentile")

NUMERIC = frozenset({"sum", "average", "median", "stdev", "percentile"})


def aggregate(operation: object, values: list[Any] | None, rows: int, part: object = None) -> Any:
    """Return a number about a column's values; `rows` is how many there are, with or without.

    Raises InvalidCall for an operation that there is not, or values that it does not take.
    """
    if not isinstance(operation, str) or operation not in OPERATIONS:
        there = ", ".join(OPERATIONS)
        raise InvalidCall(f"operation: expected one of {there}, came {describe(operation)}")
    if operation == "count":
        return rows
    if values is None:
        raise InvalidCall(f"{operation}, field: expected a field, came none")
    if operation == "percentile":
        if not isinstance(part, (int, float)) or isinstance(part, bool) or not 0 <= part <= 100:
            raise InvalidCall(f"percentile: expected 0 to 100, came {describe(part)}")
        return percentile(numbers(values), part)
    if operation in ("sum", "average"):
        try:
            return AGGREGATES[operation](values)
        except TypeError:
            pass  # not numbers alone
    if operation in NUMERIC:
        return AGGREGATES[operation](numbers(values))
    return AGGREGATES[operation](present(values))


def present(values: list[Any]) -> list[Any]:
    """Return the values without None."""
    return [value for value in values if value is not None] if None in values else values


def numbers(values: list[Any]) -> list[Any]:
    """Return the values that are there. Raises InvalidCall if one is no number."""
    kinds = set(map(type, values))
    if kinds <= NUMBER_TYPES:
        return values
    kept = [value for value in values if value is not None]
    for value in kept:
        if not isinstance(value, (int, float)):
            raise InvalidCall(f"field: expected numbers, came {describe(value)}")
    return kept


def is_finite(value: Number) -> bool:
    """Tell whether a number is neither NaN nor an infinity, also one that no float holds."""
    return isinstance(value, int) or math.isfinite(value)


def _huge(values: Sequence[Number]) -> Number:
    """Return a sum that is, or passes through, more than a float can hold."""
    odd = [value for value in values if not is_finite(value)]
    if odd:
        return sum(odd)
    return _nearest(sum(map(Fraction, values)))


def _nearest(exact: Fraction | int) -> Number:
    """Return a float, or a whole number where there is none so large."""
    try:
        return float(exact)
    except OverflowError:
        return round(exact)
