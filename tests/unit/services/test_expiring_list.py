"""services/expiring_list.py."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from services.expiring_list import ExpiringList


@dataclass(frozen=True)
class Item:
    id: str


def ids(items: ExpiringList[Item]) -> str:
    return "".join(item.id for item in items.items)


def test_newest_first_up_to_the_limit():
    items = ExpiringList[Item](limit=3, lifetime=5)
    for name in "abcd":
        items.add(Item(name), now=0)
    assert ids(items) == "dcb"


def test_an_id_that_comes_again_moves_to_the_front():
    items = ExpiringList[Item](limit=3, lifetime=5)
    for name in "aba":
        items.add(Item(name), now=0)
    assert ids(items) == "ab"


def test_each_leaves_after_its_lifetime():
    items = ExpiringList[Item](limit=3, lifetime=5)
    items.add(Item("a"), now=0)
    items.add(Item("b"), now=2)
    assert items.next_expiry() == 5
    items.expire(5)
    assert ids(items) == "b"
    items.expire(7)
    assert items.next_expiry() is None


def test_paused_time_does_not_count():
    items = ExpiringList[Item](limit=3, lifetime=5)
    items.add(Item("a"), now=0)
    items.pause(now=4)
    items.add(Item("b"), now=50)
    items.expire(100)
    assert ids(items) == "ba"
    assert items.next_expiry() is None
    items.resume(now=100)
    assert items.next_expiry() == 101
    items.expire(101)
    assert ids(items) == "b"
    items.expire(105)
    assert ids(items) == ""


def test_what_is_overdue_leaves_before_a_pause():
    items = ExpiringList[Item](limit=3, lifetime=5)
    items.add(Item("a"), now=0)
    items.pause(now=6)
    assert ids(items) == ""


calls = st.tuples(
    st.sampled_from(["add", "remove", "pause", "resume", "expire"]),
    st.sampled_from("abcdef"),
    # Eighths of a second: sums of them are exact, so the bounds below need no tolerance.
    st.integers(0, 80).map(lambda eighths: eighths / 8),
)


@given(st.lists(calls))
def test_any_order_of_calls_keeps_the_invariants(sequence):
    items = ExpiringList[Item](limit=3, lifetime=5)
    now = 0.0
    for call, name, elapsed in sequence:
        now += elapsed
        if call == "add":
            items.add(Item(name), now)
        elif call == "remove":
            items.remove(name)
        else:
            getattr(items, call)(now)
        shown = ids(items)
        assert len(shown) == len(set(shown)) <= 3
        expiry = items.next_expiry()
        assert (expiry is None) == (items.is_paused or not shown)
        if call == "expire" and expiry is not None:
            assert now < expiry <= now + 5
