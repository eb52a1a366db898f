"""components/virtual_rows.py: which rows are drawn, and that the room around them adds up."""

import random

import pytest

from components.virtual_rows import ROW_HEIGHT, SPARE, TALLEST, visible

HEIGHT = 448


def test_of_no_rows_nothing_is_drawn():
    assert visible(0, HEIGHT, 0) == (0, 0, 0, 0)
    assert visible(500, HEIGHT, 0) == (0, 0, 0, 0)


def test_at_the_top_the_first_are_drawn_with_no_room_above():
    part = visible(0, HEIGHT, 100_000)
    assert (part.first, part.above) == (0, 0)
    assert part.last >= HEIGHT / ROW_HEIGHT + SPARE
    assert part.below == (100_000 - part.last) * ROW_HEIGHT


def test_at_the_end_the_last_are_drawn_with_no_room_below():
    part = visible(10**9, HEIGHT, 100_000)
    assert (part.last, part.below) == (100_000, 0)
    assert part.first <= 100_000 - HEIGHT / ROW_HEIGHT


def test_few_rows_are_all_drawn():
    assert visible(0, HEIGHT, 3) == (0, 3, 0, 0)
    assert visible(99, HEIGHT, 3) == (0, 3, 0, 0)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1000, 285_714, 285_715, 1_000_000, 2_000_000])
def test_what_is_in_sight_is_drawn_wherever_one_is(count):
    rng = random.Random(count)
    total = min(count * ROW_HEIGHT, TALLEST)
    room = max(0, total - HEIGHT)
    # Where a pixel stands for several, less than a row may be missing a pixel from either end.
    spare = 1 if count * ROW_HEIGHT <= TALLEST else ROW_HEIGHT
    for top in [0, 1, room, room - 1, *(rng.uniform(0, room) for _ in range(200))]:
        part = visible(top, HEIGHT, count)
        drawn = (part.last - part.first) * ROW_HEIGHT
        assert 0 <= part.first <= part.last <= count
        # The height never changes while one scrolls, or the bar would jump.
        assert abs(part.above + drawn + part.below - max(total, drawn)) <= 1
        # From the upper edge to the lower one there are rows.
        assert part.above <= max(0, top) + spare
        assert part.above + drawn >= min(top + HEIGHT, total) - spare


def test_every_row_can_be_reached():
    count = 1_000_000
    room = TALLEST - HEIGHT
    first, last = visible(0, HEIGHT, count), visible(room, HEIGHT, count)
    assert first.first == 0
    assert last.last == count
    before = first
    for step in range(1, 1001):
        part = visible(room * step / 1000, HEIGHT, count)
        assert part.first >= before.first
        before = part
