from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.errors import InvalidCall
from tests.unit.workers.rows import NUMBERS, is_nan
from workers.aggregates import aggregate
from workers.moving import MOST_BINS, MOST_POINTS, histogram, moving

COLUMN = st.lists(NUMBERS | st.none(), max_size=12)
WHOLE = st.lists(st.integers(-100, 100) | st.integers(-(2**40), 2**40), min_size=1, max_size=20)
TIMES = st.lists(
    st.integers(0, 50) | st.floats(0, 50) | st.none() | st.sampled_from([math.nan, math.inf]),
    max_size=12,
)


def spread(values, bins=20, low=None, high=None):
    return histogram(values, bins=bins, low=low, high=high)


def over(times, values, span=10, operation="count", points=5, percentile=None):
    return moving(
        times, values, span=span, operation=operation, points=points, percentile=percentile
    )


def is_finite(value):
    return isinstance(value, int) or math.isfinite(value)


# Histograms


def naive(values, bins, low, high):
    """Count with fractions, one value after the other."""
    counts = [0] * bins
    for value in values:
        if low == high:
            counts[0] += 1
            continue
        place = (Fraction(value) - Fraction(low)) * bins / (Fraction(high) - Fraction(low))
        counts[min(bins - 1, math.floor(place))] += 1
    return counts


@given(WHOLE, st.integers(1, 50))
def test_whole_numbers_are_counted_in_the_part_where_they_lie(values, bins):
    found = spread(values, bins)
    assert (found["low"], found["high"]) == (min(values), max(values))
    assert found["counts"] == naive(values, bins, min(values), max(values))
    assert (found["outside"], found["missing"]) == (0, 0)


@pytest.mark.parametrize("width", [3, 7, 10, 49, 98, 103, 107, 161])
@pytest.mark.parametrize("bins", [3, 7, 10, 20])
def test_a_value_on_a_border_belongs_to_the_part_that_begins_there(width, bins):
    values = [width * number for number in range(bins + 1)]
    assert spread(values, bins)["counts"] == [1] * (bins - 1) + [2]


@given(COLUMN, st.integers(1, 30))
def test_every_value_is_counted_once(values, bins):
    found = spread(values, bins)
    missing = [value for value in values if value is None or is_nan(value)]
    finite = [v for v in values if v is not None and not is_nan(v) and is_finite(v)]
    assert found["missing"] == len(missing)
    assert sum(found["counts"]) == len(finite)
    assert found["outside"] == len(values) - len(missing) - len(finite)
    assert len(found["counts"]) == bins
    if finite:
        assert (found["low"], found["high"]) == (min(finite), max(finite))
        assert found["counts"][0] >= 1


@given(COLUMN, st.integers(1, 30))
def test_no_value_is_counted_far_from_where_it_lies(values, bins):
    finite = [v for v in values if v is not None and not is_nan(v) and is_finite(v)]
    assume(finite)
    low, high = min(finite), max(finite)
    found = spread(values, bins)["counts"]
    for part in range(bins - 1):
        # Up to the end of a part there are as many as there are values below, but for rounding.
        border = Fraction(low) + (Fraction(high) - Fraction(low)) * (part + 1) / bins
        slack = (Fraction(high) - Fraction(low)) / 10**9
        below = sum(Fraction(v) < border - slack for v in finite)
        about = sum(Fraction(v) < border + slack for v in finite)
        assert below <= sum(found[: part + 1]) <= max(about, below, len(finite) * (low == high))


@given(COLUMN, st.floats(-5, 5), st.floats(0, 10))
def test_what_lies_beyond_a_given_range_is_outside(values, low, width):
    high = low + width
    there = [value for value in values if value is not None and not is_nan(value)]
    within = [value for value in there if low <= value <= high]
    found = spread(values, 7, low, high)
    assert (found["low"], found["high"]) == (low, high)
    assert sum(found["counts"]) == len(within)
    assert found["outside"] == len(there) - len(within)


@pytest.mark.parametrize("values", [[], [None], [math.nan], [-50, -40]], ids=repr)
def test_one_end_of_a_range_is_enough_whatever_the_values(values):
    there = [value for value in values if value and not is_nan(value)]
    found = spread(values, 3, low=10)
    assert (found["low"], found["high"]) == (10, 10)
    assert found["outside"] == len(there)
    found = spread(values, 3, high=-100)
    assert (found["low"], found["high"]) == (-100, -100)
    assert found["outside"] == len(there)


@pytest.mark.parametrize("values", [[], [None, math.nan], [math.inf]], ids=repr)
def test_without_values_the_parts_are_empty(values):
    found = spread(values, 3)
    assert (found["low"], found["high"], found["counts"]) == (0, 0, [0, 0, 0])


@pytest.mark.parametrize(
    "values",
    [
        [10**400, 0, 10**400 // 2],
        [-(10**400), 0.5, 10**400],
        [-1.7e308, 0, 1.7e308],
        [0, 5e-324, 1e-323],
        [10**400, 10**400 + 4, 10**400 + 2],
    ],
    ids=lambda values: repr(values)[:20],
)
def test_ranges_that_no_float_holds_have_parts_too(values):
    found = spread(values, 4)["counts"]
    assert sum(found) == 3
    assert found[0] == found[2] == found[3] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"bins": 0},
        {"bins": MOST_BINS + 1},
        {"low": 2, "high": 1},
        {"low": math.nan},
        {"high": math.inf},
        {"low": -math.inf},
        {"low": 10**5000, "high": 1},
    ],
    ids=lambda wrong: str(list(wrong)),
)
def test_parts_that_cannot_be_are_refused(wrong):
    for values in ([], [1, 2]):
        with pytest.raises(InvalidCall, match="expected"):
            spread(values, **wrong)


def test_text_has_no_histogram():
    with pytest.raises(InvalidCall, match="expected numbers, came 'a'"):
        spread([1, "a"])


# Moving windows


@given(TIMES, st.integers(1, 12), st.floats(0.5, 60), st.data())
def test_a_window_has_what_is_later_than_its_begin_and_no_later_than_its_end(
    times, points, span, data
):
    values = data.draw(
        st.lists(st.integers(-9, 9) | st.none(), min_size=len(times), max_size=len(times))
    )
    pairs = [(t, v) for t, v in zip(times, values, strict=True) if t is not None and is_finite(t)]
    for operation in ("count", "sum", "max"):
        found = over(times, values, span, operation, points)
        if not pairs:
            assert found == []
            continue
        first, last = min(t for t, _ in pairs), max(t for t, _ in pairs)
        assert len(found) == (points if last > first else 1)
        assert found[-1]["time"] == last
        if len(found) > 1:
            assert found[0]["time"] == first
        for number, window in enumerate(found):
            end = window["time"]
            if len(found) > 1:
                share = number / (points - 1)
                assert math.isclose(end, first + (last - first) * share, abs_tol=1e-9)
            within = [
                v for t, v in sorted(pairs, key=lambda pair: pair[0]) if end - span < t <= end
            ]
            assert window["count"] == len(within)
            assert window["value"] == aggregate(operation, within, len(within))


@given(TIMES, st.integers(1, 12))
def test_windows_without_a_span_touch_and_have_every_row_once(times, points):
    known = [time for time in times if time is not None and is_finite(time)]
    found = over(times, times, None, "max", points)
    assert sum(window["count"] for window in found) == len(known)
    begin = -math.inf
    for window in found:
        within = [time for time in known if begin < time <= window["time"]]
        assert window["value"] == max(within, default=None)
        begin = window["time"]


@pytest.mark.parametrize(
    "times", [[], [None], [math.nan, math.inf], [5], [5, 5, None], [1, math.inf, -math.inf, 3]]
)
def test_windows_touch_whatever_the_times(times):
    known = [time for time in times if time is not None and is_finite(time)]
    for points in (1, 2, 5):
        found = over(times, None, None, "count", points)
        assert sum(window["count"] for window in found) == len(known)


def test_times_that_no_float_holds_are_left_out():
    times = [-(10**400), 1, 2, 10**400, None]
    for each in (times, times[::-1], [-(10**400), 10**400]):
        found = over(each, None, 100, "count", 2)
        assert sum(window["count"] for window in found[-1:]) == (2 if 1 in each else 0)


def test_times_too_far_apart_are_refused():
    for times in ([-1.7e308, 1.7e308], [-(17 * 10**307), 17 * 10**307]):
        with pytest.raises(InvalidCall, match="expected"):
            over(times, None, 1, "count", 2)
        with pytest.raises(InvalidCall, match="expected"):
            over(times, None, None, "count", 2)
        assert over(times, None, 1e300, "count", 1)[0]["count"] == 1


def test_whole_times_stay_exact_however_long():
    begin = 1_700_000_000_000_000_000  # nanoseconds
    times = [begin + number * 1_000_000_000 for number in range(5)]
    found = over(times, [1, 2, 3, 4, 5], 1_000_000_000, "sum", 5)
    assert [window["value"] for window in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": 0},
        {"points": MOST_POINTS + 1},
        {"span": 0},
        {"span": -1},
        {"span": math.nan},
        {"span": math.inf},
        {"operation": "mean"},
        {"operation": "percentile"},
    ],
    ids=str,
)
def test_windows_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidCall, match="expected"):
        over([1, 2], [1, 2], **wrong)


def test_text_is_no_time():
    for times in (["a"], [1, "a"], ["a", None]):
        with pytest.raises(InvalidCall, match="expected numbers"):
            over(times, None)
        with pytest.raises(InvalidCall, match="expected numbers"):
            over(times, None, None)
