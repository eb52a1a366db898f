from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFrame
from services.messages import Message, decode


def test_a_frame_of_the_chapter():
    frame = '{"type":"notification","payload":{"a":1},"timestamp":1700000000000}'
    assert decode(frame) == Message("notification", {"a": 1}, 1700000000000)


def test_encoding_leaves_out_an_absent_id():
    assert json.loads(Message("a", None, 5).encode()) == {
        "type": "a",
        "payload": None,
        "timestamp": 5,
    }
    assert json.loads(Message("a", None, 5, "x").encode())["id"] == "x"


def test_missing_and_extra_fields_are_tolerated():
    assert decode('{"type": "a", "extra": 1}') == Message("a", None)
    assert decode('{"type": "a", "timestamp": "now"}').timestamp is None
    assert decode('{"type": "a", "timestamp": true}').timestamp is None
    assert decode('{"type": "a", "id": null}').id is None


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"12345", "expected a text frame, came a binary one: 5 bytes"),
        ("[]", "expected a JSON object, came an array of 0"),
        ("null", "expected a JSON object, came null"),
        ("{}", "type: expected text, came null"),
        ('{"type": 5}', "type: expected text, came 5"),
        ('{"type": ""}', "type: expected text, came ''"),
        ('{"type": "a", "id": 1.5}', "id: expected text or a whole number, came 1.5"),
        ('{"type": "a", "id": true}', "id: expected text or a whole number, came true"),
        ("nope", "expected JSON, came 'nope'"),
    ],
)
def test_what_was_expected_and_what_came(frame, text):
    with pytest.raises(InvalidFrame) as caught:
        decode(frame)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("frame", ["y" * 5_000_000, json.dumps(["z" * 5_000_000]), "9" * 10_000])
def test_an_error_shows_little_of_much(frame):
    with pytest.raises(InvalidFrame) as caught:
        decode(frame)
    assert len(str(caught.value)) < 300


@given(st.text() | st.binary())
def test_nothing_but_invalid_frame_is_raised(frame):
    with contextlib.suppress(InvalidFrame):
        decode(frame)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.none())))
def test_decode_undoes_encode(payload):
    message = Message("t", payload, 1.5, "id")
    assert decode(message.encode()) == message


def test_a_payload_that_cannot_be_json_is_not_shown():
    with pytest.raises(InvalidFrame, match="a value of type object") as caught:
        Message("a", object()).encode()
    assert len(str(caught.value)) < 200
