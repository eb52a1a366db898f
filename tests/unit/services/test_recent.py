from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.recent import KEPT, Recent


def items(*ids):
    return [{"id": id_} for id_ in ids]


def ids(found):
    return [item["id"] for item in found]


def test_it_begins_with_nothing():
    recent = Recent()
    assert recent.last is None
    assert not recent.knows("1")
    assert recent.since(0) == []


def test_what_came_after_a_position_is_told_in_order():
    recent = Recent()
    recent.restart("a")
    recent.add(items("b", "c", "d"))
    assert recent.last == "d"
    assert ids(recent.after("a")) == ["b", "c", "d"]
    assert ids(recent.after("c")) == ["d"]
    assert recent.after("d") == []
    assert not recent.knows("e")


def test_what_has_no_id_or_is_there_already_is_left_out():
    recent = Recent()
    recent.add(items("b", None, "b", "c"))
    recent.add(items("c"))
    assert ids(recent.since(0)) == ["b", "c"]
    assert recent.count == 2


def test_the_oldest_go_and_the_base_moves_with_them():
    recent = Recent()
    recent.restart(0)
    recent.add(items(*range(1, KEPT + 3)))
    assert not recent.knows(0)
    assert not recent.knows(1)
    assert ids(recent.after(2)) == list(range(3, KEPT + 3))
    assert recent.since(0) is None
    assert ids(recent.since(KEPT + 1)) == [KEPT + 2]


def test_a_restart_forgets_but_goes_on_counting():
    recent = Recent()
    recent.add(items("b", "c"))
    recent.restart("x")
    assert recent.last == "x"
    assert not recent.knows("c")
    assert recent.since(0) is None
    assert recent.since(2) == []


def test_a_base_that_comes_again_as_a_message_is_where_that_message_is():
    # A batch may move the position on before its messages are taken.
    recent = Recent()
    recent.restart("c")
    recent.add(items("b", "c", "d"))
    assert ids(recent.after("c")) == ["d"]


@given(st.lists(st.lists(st.integers(0, 5000), max_size=700), max_size=6))
def test_every_position_it_knows_leads_to_the_end(batches):
    recent = Recent()
    told = []
    for batch in batches:
        recent.add(items(*batch))
        told += batch
    kept = ids(recent.since(recent.count)) + ids(recent.since(max(0, recent.count - KEPT)))
    assert len(kept) <= KEPT
    assert len(kept) == len(set(kept))
    for place, position in enumerate(kept[:: max(1, len(kept) // 20)]):
        place *= max(1, len(kept) // 20)
        assert recent.knows(position)
        assert ids(recent.after(position)) == kept[place + 1 :]
    assert recent.last == (kept[-1] if kept else None)
