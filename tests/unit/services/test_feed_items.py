from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFrame
from services.feed_items import Activity, Notification, shorten

NOW = 1_700_000_000_000
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = st.sampled_from(
    ["id", "type", "title", "message", "timestamp", "userId", "userName", "action", "target"]
)


def test_a_notification_of_the_chapter():
    payload = {"id": "1", "type": "warning", "title": "t", "message": "m", "timestamp": 5}
    assert Notification.from_payload(payload, NOW) == Notification("1", "warning", "t", "m", 5)


def test_an_activity_of_the_chapter():
    payload = {"id": 1, "userId": "u", "userName": "Ann", "action": "edited", "target": "x"}
    assert Activity.from_payload(payload, NOW) == Activity("1", "u", "Ann", "edited", "x", NOW)


def test_what_is_missing_gets_a_fallback():
    one = Notification.from_payload({}, NOW)
    two = Notification.from_payload({"type": "fatal", "title": " ", "timestamp": -1}, NOW)
    assert (one.type, one.title, one.message, one.timestamp) == ("info", "Notification", "", NOW)
    assert (two.type, two.title, two.timestamp) == ("info", "Notification", NOW)
    assert one.id != two.id
    assert Activity.from_payload({}, NOW).user_name == "Somebody"


@pytest.mark.parametrize("timestamp", [1e300, float("nan"), float("inf"), "5", True, None, 0, []])
def test_an_insane_timestamp_is_now(timestamp):
    assert Notification.from_payload({"timestamp": timestamp}, NOW).timestamp == NOW


def test_the_future_is_kept():
    assert Notification.from_payload({"timestamp": NOW + 9}, NOW).timestamp == NOW + 9


@pytest.mark.parametrize("payload", [None, 1, "x", [], True])
def test_a_payload_that_is_no_object_is_an_invalid_frame(payload):
    for kind in (Notification, Activity):
        with pytest.raises(InvalidFrame, match="expected an object"):
            kind.from_payload(payload, NOW)


@given(st.dictionaries(FIELDS | st.text(), ANYTHING))
def test_any_object_makes_both(payload):
    for item in (Notification.from_payload(payload, NOW), Activity.from_payload(payload, NOW)):
        assert item.id
        assert item.timestamp > 0
    Notification.from_payload(payload, NOW).title.encode()


def test_long_text_is_kept_and_shown_shortened():
    item = Notification.from_payload({"title": "x" * 100_000}, NOW)
    assert len(item.title) == 100_000
    assert shorten(item.title, 80) == "x" * 79 + "…"
    assert shorten("short", 80) == "short"
    assert shorten("two words", 5) == "two…"


def test_half_a_surrogate_pair_is_mended():
    assert Notification.from_payload({"title": "a\ud800"}, NOW).title == "a?"
