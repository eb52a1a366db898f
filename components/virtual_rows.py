"""Which rows of a long table are in sight, and how much room the others take."""

import math
from typing import NamedTuple

ROW_HEIGHT = 28
"""Pixels; the style sheet says the same."""

TALLEST = 8_000_000
"""Pixels. No browser lays out more than some 17 to 33 millions: beyond this, a pixel of scrolling is more than one of the table."""

SPARE = 12
"""Rows drawn above and below those in sight, so that little scrolling shows no gap."""


class Slice(NamedTuple):
    """Rows `first` to before `last`, and the pixels above and below them."""

    first: int
    last: int
    above: int
    below: int


def visible(scroll_top: float, height: float, count: int) -> Slice:
    """Return what to draw of `count` rows in a view of some height, scrolled so far."""
    full = count * ROW_HEIGHT
    total = min(full, TALLEST)
    room = max(0.0, total - height)
    top = min(max(0.0, scroll_top), room)
    # The share of the way is the same in the table and in what stands for it.
    offset = top if total == full or not room else top / room * (full - height)
    at = int(offset // ROW_HEIGHT)
    # Near the ends of what stands for more, there is no room for all the spare rows.
    first = max(0, at - SPARE, math.floor((offset - top) / ROW_HEIGHT))
    above = max(0, round(top - (offset - first * ROW_HEIGHT)))
    in_sight = int(height // ROW_HEIGHT) + 2
    fitting = int((total - above + 1) // ROW_HEIGHT)
    last = min(count, at + in_sight + SPARE, first + fitting)
    below = max(0, total - above - (last - first) * ROW_HEIGHT)
    return Slice(first, last, above, below)
