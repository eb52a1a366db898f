from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Decoder, Doc, Text, create_sync_message, write_var_uint

from services import y_messages
from services.errors import InvalidFrame
from services.y_messages import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
)

messages = st.one_of(
    st.builds(SyncStep1, st.binary(max_size=300)),
    st.builds(SyncStep2, st.binary(max_size=300)),
    st.builds(Update, st.binary(max_size=300)),
    st.builds(Awareness, st.binary(max_size=300)),
    st.just(QueryAwareness()),
    st.builds(PermissionDenied, st.text(st.characters(exclude_categories=["Cs"]))),
)


def document(text):
    doc = Doc()
    doc["content"] = Text(text)
    return doc


@given(messages)
def test_a_message_comes_back_as_it_was(message):
    assert y_messages.decode(y_messages.encode(message)) == message


@given(messages, st.data())
def test_a_frame_that_is_cut_or_longer_is_an_error(message, data):
    frame = y_messages.encode(message)
    cut = data.draw(st.integers(0, len(frame) - 1))
    for wrong in (frame[:cut], frame + b"\0"):
        with pytest.raises(InvalidFrame):
            y_messages.decode(wrong)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_an_invalid_frame(frame):
    try:
        message = y_messages.decode(frame)
    except InvalidFrame:
        return
    assert y_messages.decode(y_messages.encode(message)) == message


@given(st.integers(0, 2**53 - 1))
def test_numbers_are_those_of_lib0(value):
    assert y_messages.number(value) == write_var_uint(value)
    assert y_messages.read_number(y_messages.number(value), 0)[0] == value
    assert Decoder(y_messages.number(value)).read_var_uint() == value


def test_frames_are_those_of_another_implementation():
    doc = document("hello")
    assert y_messages.decode(create_sync_message(doc)) == SyncStep1(doc.get_state())
    assert y_messages.encode(SyncStep1(doc.get_state())) == create_sync_message(doc)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "expected a number at byte 0"),
        (b"\x04", "expected type 0, 1, 2 or 3, came 4"),
        (b"\x00\x03", "expected 0, 1 or 2, came 3"),
        (b"\x00\x02\x05abc", "expected 5 bytes more, came 3"),
        (b"\x02\x01\x00", "expected 0, came 1"),
        (b"\x01\x01a!", "expected 3 bytes, came 4"),
        (b"\xff" * 20, "expected a number at byte 0, came 8 bytes"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(frame, words):
    with pytest.raises(InvalidFrame, match=words):
        y_messages.decode(frame)


def test_a_vector_tells_who_has_more():
    one, other = document("a"), document("b")
    assert y_messages.lacks(one.get_state(), other.get_state())
    assert y_messages.lacks(b"\0", one.get_state())
    assert not y_messages.lacks(one.get_state(), b"\0")
    other.apply_update(one.get_update())
    assert not y_messages.lacks(other.get_state(), one.get_state())
    assert y_messages.read_vector(one.get_state()) == {one.client_id: 1}


@pytest.mark.parametrize(
    "vector", [b"", b"\x01", b"\x01\x05", b"\x00\x00", b"\xff\xff\xff\x7f\x01"]
)
def test_what_is_no_vector_is_an_error(vector):
    with pytest.raises(InvalidFrame):
        y_messages.read_vector(vector)
