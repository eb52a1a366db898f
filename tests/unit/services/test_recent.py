from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.recent import KEPT, Recent


def item(number: int | None) -> dict:
    return {"id": number, "payload": number}


def ids(items: list[dict] | None) -> list[int]:
    assert items is not None
    return [each["id"] for each in items]


@given(
    st.integers(1, 3 * KEPT), st.lists(st.integers(1, 400), max_size=12), st.integers(0, 3 * KEPT)
)
def test_it_tells_what_came_after_a_position_that_it_knows(start, bursts, asked):
    recent = Recent()
    recent.restart(start)
    end = start
    for burst in bursts:
        recent.add([item(n) for n in range(end + 1, end + 1 + burst)])
        end += burst
    assert recent.last == end
    first = max(start, end - KEPT)
    assert recent.knows(asked) == (first <= asked <= end)
    if recent.knows(asked):
        assert ids(recent.after(asked)) == list(range(asked + 1, end + 1))


def test_what_has_no_id_or_is_there_already_is_left_out():
    recent = Recent()
    recent.add([item(1), item(None), item(1), item(2)])
    assert (recent.count, recent.last) == (2, 2)
    assert recent.knows(1)
    assert not recent.knows(0)


def test_it_tells_what_has_come_since_a_count():
    recent = Recent()
    recent.add([item(1), item(2)])
    mark = recent.count
    assert recent.since(mark) == []
    recent.add([item(n) for n in range(3, 6)])
    assert ids(recent.since(mark)) == [3, 4, 5]
    recent.add([item(n) for n in range(6, 6 + KEPT)])
    assert recent.since(mark) is None


def test_after_a_restart_nothing_is_known_of_before():
    recent = Recent()
    recent.add([item(1)])
    recent.restart(None)
    assert recent.last is None
    assert not recent.knows(1)
    recent.restart(9)
    assert recent.knows(9)
    assert recent.after(9) == []
