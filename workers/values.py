"""Questions about many values at once, asked so that nearly always one pass in C answers them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from operator import le
from typing import Any


def has_nan(values: Sequence[Any]) -> bool:
    """Tell whether there is a NaN, which is in no order and not even equal to itself."""
    try:
        # Of numbers alone, the sum is one if any is, or if there are infinities of both signs.
        if not math.isnan(sum(values)):
            return False
    except (TypeError, OverflowError):
        pass
    if values and type(values[0]) is str:
        try:
            max(values)  # which text and anything else do not have
            return False
        except TypeError:
            pass
    return any(type(value) is float and value != value for value in values)


def are_rising(values: Sequence[Any]) -> bool:
    """Tell whether no value is less than the one before it."""
    return all(map(le, values, islice(values, 1, None)))
