from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFrame
from services.shared_messages import (
    KINDS,
    Closed,
    Down,
    Insist,
    Join,
    Leave,
    Live,
    Opened,
    Probe,
    Status,
    Taken,
    Up,
    decode,
    encode,
)
from tests.unit.services.test_tab_messages import JSON

ITEMS = [{"type": "note", "payload": {}, "timestamp": None, "id": "1"}, {"id": None}, {"id": 7}]
ALL = [
    Join(1, None),
    Join(2, "17"),
    Join(3, 17),
    Insist(1),
    Probe(1),
    Up(1, ["{}", "text"]),
    Leave(1),
    Opened(1, "17"),
    Down(1, ITEMS, live=True),
    Taken(1, 100),
    Closed(1, 1006, "away"),
    Closed(1, None, ""),
    Live(ITEMS),
    Status("open", 0, None, None, 0.5),
    Status("waiting", 3, 1006, "away", None),
]


def test_every_kind_is_here():
    assert {type(message) for message in ALL} == set(KINDS.values())


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_it_arrives_as_it_was(message):
    assert decode(json.loads(json.dumps(encode(message)))) == message


@given(JSON)
def test_whatever_comes_is_refused_with_what_was_expected(value):
    with pytest.raises(InvalidFrame, match="expected"):
        decode(value)


@given(st.sampled_from(ALL), st.data())
def test_a_field_of_another_kind_is_refused_or_is_good(message, data):
    payload = encode(message)
    field = data.draw(st.sampled_from(sorted(payload)))
    payload[field] = data.draw(JSON)
    with suppress(InvalidFrame):  # and nothing else
        assert encode(decode(payload)) == payload


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_none_has_a_field_too_few_or_too_many(message):
    payload = encode(message)
    with pytest.raises(InvalidFrame):
        decode(payload | {"more": 1})
    for field in payload:
        with pytest.raises(InvalidFrame):
            decode({key: value for key, value in payload.items() if key != field})
