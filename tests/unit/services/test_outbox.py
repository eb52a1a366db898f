from __future__ import annotations

import pytest

from services.errors import QueueFull
from services.history import REMEMBERED, History
from services.outbox import Outbox, Outgoing


def frame(text, message_id=None):
    return Outgoing(text, message_id)


def taken(outbox):
    return [f.text for f in iter(outbox.take, None)]


def test_a_new_connection_begins_with_the_unacknowledged():
    outbox = Outbox(10)
    for text, message_id in (("sent", "1"), ("also sent", "2"), ("plain", None)):
        outbox.add(frame(text, message_id))
    assert taken(outbox) == ["sent", "also sent", "plain"]
    outbox.add(frame("queued"))
    outbox.add(frame("request", "3"))
    outbox.restart(confirm=False)
    assert (outbox.queued, outbox.unacknowledged) == (4, 0)
    assert taken(outbox) == ["sent", "also sent", "queued", "request"]
    assert outbox.remove("1")
    assert not outbox.remove("1")
    outbox.restart(confirm=False)
    assert taken(outbox) == ["also sent", "request"]


def test_what_followed_a_refused_token_is_queued_again_in_order():
    outbox = Outbox(3)
    outbox.restart(confirm=True)
    for text, message_id in (("a", None), ("b", "1"), ("c", None)):
        outbox.add(frame(text, message_id))
    assert taken(outbox) == ["a", "b", "c"]
    outbox.add(frame("d"))
    outbox.refused()
    outbox.restart(confirm=True)
    assert taken(outbox) == ["a", "b", "c", "d"]
    outbox.confirmed()
    outbox.refused()
    outbox.restart(confirm=False)
    assert taken(outbox) == ["b"]


def test_the_limit_bounds_what_waits():
    outbox = Outbox(2)
    outbox.add(frame("a"))
    outbox.add(frame("b", "1"), deadline=5.0)
    with pytest.raises(QueueFull, match="at most 2"):
        outbox.add(frame("c"))
    assert taken(outbox) == ["a", "b"]
    assert len(outbox) == 1


def test_the_oldest_may_be_dropped_unless_somebody_relies_on_it():
    outbox = Outbox(2, "drop-oldest")
    for text, message_id in (("request", "1"), ("old", None), ("new", None)):
        outbox.add(frame(text, message_id))
    assert outbox.dropped == 1
    outbox.add(frame("other request", "2"))
    with pytest.raises(QueueFull):
        outbox.add(frame("one too many"))
    assert taken(outbox) == ["request", "other request"]


def test_the_newest_may_be_dropped_unless_somebody_relies_on_it():
    outbox = Outbox(1, "drop-newest")
    outbox.add(frame("old"))
    outbox.add(frame("new"))
    assert outbox.dropped == 1
    with pytest.raises(QueueFull):
        outbox.add(frame("request", "1"))
    assert taken(outbox) == ["old"]


def test_room_for_a_sender():
    outbox = Outbox(4)
    for n in range(3):
        outbox.add(frame("a", n))
    assert not outbox.is_roomy
    taken(outbox)
    assert not outbox.is_roomy
    outbox.remove(0)
    assert outbox.is_roomy


def test_requests_expire_in_their_order():
    outbox = Outbox(10)
    for message_id, deadline in (("late", 9.0), ("soon", 3.0), ("gone", 1.0), ("never", None)):
        outbox.add(frame("r", message_id), deadline)
    outbox.remove("gone")
    assert outbox.deadline == 3.0
    assert outbox.expired(9.0) == ["soon", "late"]
    assert outbox.deadline is None
    outbox.add(frame("r", "request"), 12.0)
    assert outbox.drop_requests() == ["request"]
    # Nobody waits for this one, but somebody relies on it.
    assert taken(outbox) == ["r"]
    assert outbox.clear() == []
    assert len(outbox) == 0


def test_history_remembers_a_bounded_number():
    history = History()
    assert all(history.is_new(n) for n in range(2 * REMEMBERED + 1))
    assert not history.is_new(REMEMBERED)
    assert not history.is_new(2 * REMEMBERED)
    assert history.is_new(0)
    assert history.last == 0
    assert history.is_new(None)
    assert history.is_new(None)
    assert history.last == 0
    history.forget("x")
    assert history.is_new(5)
