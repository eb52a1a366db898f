from __future__ import annotations

import contextlib
import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidCall
from tests.unit.workers.rows import NUMBERS, VALUES, is_nan
from workers.aggregates import OPERATIONS, aggregate

MISSING = st.none()
# Of a size with which a float's own rounding can be told from a fault.
USUAL = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
COLUMN = st.lists(NUMBERS | MISSING, max_size=8)
PARTS = st.integers(1, 99)


def of(operation, values, part=None):
    return aggregate(operation, values, len(values), part)


def finite(values):
    return all(isinstance(value, int) or math.isfinite(value) for value in values)


def as_summed(value):
    """Whole numbers among fractions count as the nearest one."""
    try:
        return Fraction(float(value))
    except OverflowError:
        return Fraction(value)


def same(found, expected, rel=1e-9):
    if is_nan(expected):
        return is_nan(found)
    if isinstance(expected, Fraction):
        return abs(Fraction(found) - expected) <= abs(expected) * Fraction(rel)
    return found == expected


@given(COLUMN)
def test_a_sum_is_the_exact_one_rounded_once(values):
    found = of("sum", values)
    there = [value for value in values if value is not None]
    if any(map(is_nan, there)):
        assert is_nan(found)
    elif not finite(there):
        signs = {value for value in there if not finite([value])}
        assert is_nan(found) if len(signs) == 2 else found == signs.pop()
    elif all(isinstance(value, int) for value in there):
        exact = 0
        for value in there:
            exact += value
        assert found == exact
        assert type(found) is int
    else:
        exact = sum(map(Fraction, there))
        nearest = sum(map(as_summed, there))
        try:
            assert found in (float(exact), float(nearest))
        except OverflowError:
            assert abs(found - exact) <= 1


@given(st.lists(USUAL | MISSING, max_size=8))
def test_an_average_is_the_sum_by_the_number(values):
    there = [Fraction(value) for value in values if value is not None]
    expected = sum(there) / len(there) if there else 0
    assert same(of("average", values), expected) or abs(expected) < 1e-9


@given(COLUMN)
def test_an_average_is_never_beyond_the_values(values):
    there = [value for value in values if value is not None]
    found = of("average", values)
    if there and not any(map(is_nan, there)) and finite(there):
        exact = list(map(Fraction, there))
        slack = abs(Fraction(found)) / 10**9 + 1
        assert min(exact) - slack <= found <= max(exact) + slack


@given(st.lists(USUAL | MISSING, max_size=9))
def test_a_median_is_that_of_the_statistics_module(values):
    there = [Fraction(value) for value in values if value is not None]
    found = of("median", values)
    if not there:
        assert found is None
    else:
        assert same(found, statistics.median(there))


@given(st.lists(USUAL, min_size=2, max_size=9), PARTS)
def test_percentiles_are_those_of_the_statistics_module(values, part):
    exact = statistics.quantiles(map(Fraction, values), n=100, method="inclusive")[part - 1]
    assert abs(of("percentile", values, part) - exact) <= 1e-6


@given(COLUMN, st.floats(0, 100))
def test_a_percentile_lies_between_two_neighbours(values, part):
    there = sorted(value for value in values if value is not None and not is_nan(value))
    found = of("percentile", values, part)
    if any(map(is_nan, values)):
        assert is_nan(found)
    elif not there:
        assert found is None
    elif is_nan(found):
        assert -math.inf in there
        assert math.inf in there
    else:
        at = Fraction(part) * (len(there) - 1) / 100
        low, high = there[math.floor(at)], there[min(math.ceil(at), len(there) - 1)]
        if finite([low, high]):
            slack = (abs(Fraction(low)) + abs(Fraction(high)) + 1) / 10**9
            assert Fraction(low) - slack <= Fraction(found) <= Fraction(high) + slack
        else:
            assert low <= found <= high


@given(st.lists(NUMBERS, min_size=1))
def test_the_ends_of_the_percentiles_are_the_least_and_the_greatest(values):
    for operation, part in (("min", 0), ("max", 100)):
        assert same(of("percentile", values, part), of(operation, values))


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([-math.inf, 5], 25, -math.inf),
        ([-math.inf, 5], 50, -math.inf),
        ([5, math.inf], 25, math.inf),
        ([5, math.inf], 0, 5),
        ([10**400, math.inf], 50, math.inf),
        ([-math.inf, math.inf], 50, math.nan),
        ([1.6e308, 1.7e308], 50, 1.65e308),
        ([-1.6e308, 1.6e308], 25, -0.8e308),
        ([1.5, 10**400], 50, Fraction(10**400, 2)),
        ([0, 10**400], 25, Fraction(10**400, 4)),
        ([10**400, 3 * 10**400], 50, Fraction(2 * 10**400)),
        ([1, 2, 3, 4], 50, 2.5),
        ([7], 33, 7),
        ([True, False], 50, 0.5),
    ],
    ids=str,
)
def test_a_percentile_of_extremes_is_what_it_would_be_without_rounding(values, part, expected):
    found = of("percentile", values, part)
    if isinstance(expected, float) and math.isfinite(expected):
        expected = Fraction(expected)
    assert same(found, expected)


@given(st.lists(USUAL | MISSING, max_size=9))
def test_a_deviation_is_that_of_the_statistics_module(values):
    there = [Fraction(value) for value in values if value is not None]
    found = of("stdev", values)
    if len(there) < 2:
        assert found is None
    else:
        assert math.isclose(found, statistics.stdev(there), rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        [1e200, -1e200],
        [1e308, -1e308],
        [1e-200, 3e-200],
        [5e-324, 1e-323],
        [10**20, 10**20 + 1],
        [10**200, 3 * 10**200],
        [1e16, 1e16 + 2, 1e16 + 4],
        [0.1] * 10,
        [1e308] * 5,
        [True, 5, 2.5],
    ],
    ids=str,
)
def test_a_deviation_of_extremes_is_what_it_would_be_without_rounding(values):
    exact = statistics.stdev(map(Fraction, values))
    assert math.isclose(of("stdev", values), exact, rel_tol=1e-6, abs_tol=1e-17)


def test_a_deviation_that_no_float_holds_has_no_end():
    assert of("stdev", [10**400, -(10**400)]) == math.inf
    assert of("stdev", [1.7e308, -1.7e308]) == math.inf
    assert of("stdev", [10**400, 10**400]) == 0


@given(COLUMN)
def test_a_deviation_with_a_value_without_end_is_none(values):
    found = of("stdev", [*values, math.inf, 1])
    assert is_nan(found)


@given(st.lists(VALUES, max_size=8))
def test_distinct_values_are_counted(values):
    seen = []
    for value in values:
        if value is not None and not is_nan(value) and value not in seen:
            seen.append(value)
    assert of("distinct", values) == len(seen) + any(map(is_nan, values))


def test_nan_is_one_value_whatever_object_it_is():
    assert of("distinct", [float("nan"), float("nan"), math.nan, math.nan, 1]) == 2
    assert of("distinct", [math.nan, [], [], [1]]) == 3


@given(COLUMN)
def test_the_least_and_the_greatest(values):
    there = [value for value in values if value is not None]
    for operation, better in (
        ("min", lambda one, other: one < other),
        ("max", lambda one, other: one > other),
    ):
        found = of(operation, values)
        if any(map(is_nan, there)):
            assert is_nan(found)
        elif not there:
            assert found is None
        else:
            assert found in there
            assert not [value for value in there if better(value, found)]


def test_text_has_a_least_and_a_greatest_too():
    assert of("min", ["b", None, "a", "Z"]) == "Z"
    assert of("max", ["b", None, "a", "Z"]) == "b"


@given(st.lists(VALUES, max_size=8), st.sampled_from(OPERATIONS))
def test_any_values_have_a_number_or_are_refused(values, operation):
    numbers_alone = all(v is None or isinstance(v, (int, float)) for v in values)
    with contextlib.nullcontext() if numbers_alone else contextlib.suppress(InvalidCall):
        of(operation, values, 30)


@given(st.lists(VALUES, max_size=8))
def test_rows_are_counted_with_a_value_or_without(values):
    assert of("count", values) == len(values)
    assert aggregate("count", None, 7) == 7


@pytest.mark.parametrize("operation", OPERATIONS)
def test_of_nothing_there_is_nothing(operation):
    expected = {"sum": 0, "average": 0, "count": 0, "distinct": 0}.get(operation)
    assert of(operation, [], 50) == expected
    if operation != "count":
        assert of(operation, [None, None], 50) == expected


@pytest.mark.parametrize(
    ("operation", "values", "part"),
    [
        ("mean", [], None),
        (None, [], None),
        ([], [], None),
        ("sum", None, None),
        ("min", None, None),
        ("sum", ["a"], None),
        ("average", [1, "a"], None),
        ("median", [[1]], None),
        ("stdev", [1, {}], None),
        ("min", [1, "a"], None),
        ("max", [[], 1], None),
        ("percentile", [1], None),
        ("percentile", [1], -1),
        ("percentile", [1], 100.1),
        ("percentile", [1], math.nan),
        ("percentile", [1], "50"),
        ("percentile", [1], True),
    ],
    ids=str,
)
def test_what_has_no_number_is_refused(operation, values, part):
    with pytest.raises(InvalidCall, match="expected"):
        aggregate(operation, values, 1, part)
