from __future__ import annotations

import pytest

from services.errors import QueueFull
from services.history import REMEMBERED, History
from services.messages import Message
from services.outbox import Outbox


def message(type_, message_id=None):
    return Message(type_, None, 0, message_id)


def test_flush_sends_the_unacknowledged_before_the_queued():
    outbox = Outbox(10)
    outbox.add(message("sent", "1"), sent=True)
    outbox.add(message("queued"), sent=False)
    outbox.add(message("request", "2"), sent=False)
    assert [m.type for m in outbox.flush()] == ["sent", "queued", "request"]
    assert [m.type for m in outbox.flush()] == ["sent", "request"]
    assert outbox.remove("1")
    assert not outbox.remove("1")
    assert [m.type for m in outbox.flush()] == ["request"]


def test_the_limit_bounds_what_waits():
    outbox = Outbox(2)
    outbox.add(message("a"), sent=False)
    outbox.add(message("b", "1"), sent=True, deadline=5.0)
    with pytest.raises(QueueFull):
        outbox.add(message("c"), sent=False)
    outbox.add(message("volatile"), sent=True)
    assert len(outbox) == 2


def test_requests_expire_in_their_order():
    outbox = Outbox(10)
    for message_id, deadline in (("late", 9.0), ("soon", 3.0), ("gone", 1.0), ("never", None)):
        outbox.add(message("r", message_id), sent=False, deadline=deadline)
    outbox.remove("gone")
    assert outbox.deadline == 3.0
    assert outbox.expired(9.0) == ["soon", "late"]
    assert outbox.deadline is None
    assert outbox.drop_requests() == ["never"]
    assert len(outbox) == 0


def test_history_remembers_a_bounded_number():
    history = History()
    assert all(history.is_new(n) for n in range(REMEMBERED + 1))
    assert not history.is_new(REMEMBERED)
    assert history.is_new(0)
    assert history.last == 0
    assert history.is_new(None)
    assert history.is_new(None)
    assert history.last == 0
    history.forget("x")
    assert history.is_new(5)
