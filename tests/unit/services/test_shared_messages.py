from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFrame
from services.shared_messages import CHECKS, KINDS, Down, Join, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
WHOLE = st.integers(0, 2**53)
IDS = st.text(max_size=8) | st.integers(-(2**53), 2**53)
ITEMS = st.dictionaries(st.text(max_size=4), JSON, max_size=3).flatmap(
    lambda item: (st.none() | IDS).map(lambda id_: {**item, "id": id_})
)
FIELDS = {
    "int": WHOLE,
    "str": st.text(max_size=8),
    "bool": st.booleans(),
    "Id | None": st.none() | IDS,
    "list[str]": st.lists(st.text(max_size=8), max_size=3),
    "list[Item]": st.lists(ITEMS, max_size=3),
    "int | None": st.none() | WHOLE,
    "str | None": st.none() | st.text(max_size=8),
    "float | None": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}
MESSAGES = st.sampled_from(list(KINDS.values())).flatmap(
    lambda kind: st.builds(
        kind, **{field: FIELDS[annotation] for field, annotation in kind.__annotations__.items()}
    )
)
JUNK = JSON | st.fixed_dictionaries(
    {"kind": st.sampled_from(list(KINDS)) | JSON},
    optional=dict.fromkeys(
        sorted({field for kind in KINDS.values() for field in kind.__annotations__}), JSON
    ),
)


def test_each_annotation_has_a_check():
    annotations = {a for kind in KINDS.values() for a in kind.__annotations__.values()}
    assert annotations == set(CHECKS) == set(FIELDS)


@given(MESSAGES)
def test_what_is_said_is_what_is_heard(message):
    assert decode(json.loads(json.dumps(encode(message)))) == message


@given(JUNK)
def test_junk_is_refused_or_is_a_message(junk):
    try:
        message = decode(junk)
    except InvalidFrame:
        return
    assert encode(message) == junk


@given(MESSAGES, JSON)
def test_a_field_too_many_or_too_few_is_refused(message, value):
    payload = encode(message)
    with pytest.raises(InvalidFrame, match=r"expected \w+(, \w+)*, came"):
        decode({**payload, "more": value})
    payload.pop(next(reversed(payload)))
    with pytest.raises(InvalidFrame):
        decode(payload)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (None, "connection: expected an object"),
        ({}, "kind: expected one of join"),
        ({"kind": ["join"]}, "kind: expected one of join"),
        ({"kind": "join", "link": True, "after": None}, "join link: expected a whole number"),
        ({"kind": "join", "link": -1, "after": None}, "join link: expected a whole number"),
        ({"kind": "join", "link": 1, "after": []}, "join after: expected an id or null"),
        ({"kind": "live", "relay": 1, "items": [{}]}, "live items: expected an array of messages"),
        ({"kind": "up", "link": 1, "frames": [1]}, "up frames: expected an array of texts"),
    ],
)
def test_the_error_says_what_was_expected(payload, error):
    with pytest.raises(InvalidFrame, match=error):
        decode(payload)


def test_on_the_channel_they_are_plain_objects():
    assert encode(Join(3, "7")) == {"kind": "join", "link": 3, "after": "7"}
    assert encode(Down(3, [], True)) == {"kind": "down", "link": 3, "items": [], "live": True}
