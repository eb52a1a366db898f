from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFrame, NotCloneable
from services.tab_messages import LARGEST, SCHEMA, Introduction, TabMessage, decode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
GOOD = {"schema": SCHEMA, "type": "note", "payload": 7, "timestamp": 5, "tabId": "tab-1"}


@given(JSON)
def test_any_json_payload_arrives_as_it_was(payload):
    message = TabMessage("note", payload, 5, "tab-1", "tab-2")
    assert decode(message.encode()) == message


@given(JSON)
def test_whatever_comes_is_a_message_or_an_error_that_says_what_was_expected(value):
    with pytest.raises(InvalidFrame, match="expected"):
        decode(json.dumps(value))


@given(st.text())
def test_text_that_is_no_json_is_refused(text):
    with suppress(InvalidFrame):  # and nothing else
        decode(text)


@pytest.mark.parametrize(
    "change",
    [
        {"type": None},
        {"type": ""},
        {"type": "x" * 201},
        {"type": 7},
        {"tabId": None},
        {"tabId": {}},
        {"to": 7},
        {"to": ""},
        {"schema": 2},
        {"schema": "1"},
        {"schema": True},
        {"schema": None},
    ],
    ids=repr,
)
def test_a_field_that_is_wrong_is_named(change):
    (field,) = change
    with pytest.raises(InvalidFrame, match=field):
        decode(json.dumps(GOOD | change))


def test_another_version_of_the_page_is_recognised():
    with pytest.raises(InvalidFrame, match="another version of the page"):
        decode(json.dumps(GOOD | {"schema": 2}))


def test_a_message_of_the_chapter_has_no_schema():
    chapter = {key: value for key, value in GOOD.items() if key != "schema"}
    with pytest.raises(InvalidFrame, match="schema 1, came one of null"):
        decode(json.dumps(chapter))


def test_what_is_no_json_in_the_browser_is_refused():
    with pytest.raises(InvalidFrame, match="can be JSON"):
        decode(None)


def test_a_huge_message_is_not_even_parsed():
    with pytest.raises(InvalidFrame, match="characters"):
        decode("[" * (LARGEST + 1))


def test_a_timestamp_that_is_none_does_not_matter():
    assert decode(json.dumps(GOOD | {"timestamp": "soon"})).timestamp == 0


@pytest.mark.parametrize(
    "payload", [object(), {1, 2}, b"bytes", math.nan, math.inf, "\ud800", {"a": [lambda: 1]}]
)
def test_what_cannot_be_cloned_raises_a_type_error_at_the_sender(payload):
    with pytest.raises(TypeError, match="expected a payload that can be JSON"):
        TabMessage("note", payload, 5, "tab-1").encode()


def test_what_contains_itself_raises_too():
    payload: list[object] = []
    payload.append(payload)
    with pytest.raises(NotCloneable):
        TabMessage("note", payload, 5, "tab-1").encode()


def test_what_is_too_large_raises_at_the_sender():
    with pytest.raises(NotCloneable, match="characters"):
        TabMessage("note", "x" * LARGEST, 5, "tab-1").encode()


@pytest.mark.parametrize(
    "change",
    [{"title": None}, {"since": "1"}, {"since": True}, {"visible": 1}, {"visible": None}],
    ids=repr,
)
def test_an_introduction_is_checked(change):
    good = Introduction("Page", 5, visible=True).as_payload()
    assert Introduction.from_payload(good) == Introduction("Page", 5, visible=True)
    with pytest.raises(InvalidFrame, match=next(iter(change))):
        Introduction.from_payload(good | change)
    with pytest.raises(InvalidFrame, match="introduction"):
        Introduction.from_payload([good])
