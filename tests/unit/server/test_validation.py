from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import validation
from server.clock import now
from server.validation import MAX_TIMESTAMP, ValidationError, parse_body, parse_json

NOTIFICATION = {"title": "Title"}
ACTIVITY = {"userName": "Ada", "action": "edited", "target": "notes"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)
fields = ("type", "title", "message", "timestamp", "userName", "action", "target")
near_misses = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values))


def test_a_notification_gets_its_defaults() -> None:
    before = now()
    payload = validation.notification(NOTIFICATION)
    assert before <= payload.pop("timestamp") <= now()
    assert payload == {"type": "info", "title": "Title", "message": ""}


def test_an_activity_gets_its_defaults() -> None:
    before = now()
    payload = validation.activity(ACTIVITY)
    assert before <= payload.pop("timestamp") <= now()
    assert payload == {"userId": "", **ACTIVITY}


def test_extra_fields_are_left_out() -> None:
    payload = validation.notification({**NOTIFICATION, "id": "7", "__proto__": {}, "\ud800": 1})
    assert set(payload) == {"type", "title", "message", "timestamp"}


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "\"'`",
        "👩‍👩‍👧‍👦",
        "שלום",
        "\u202egnirts",
        "x" * 100_000,
        "\0",
        " a ",
    ],
)
def test_any_text_is_kept_as_it_is(title: str) -> None:
    assert validation.notification({"title": title})["title"] == title


@pytest.mark.parametrize("timestamp", [0, 1.5, 1_700_000_000_000, MAX_TIMESTAMP, 2e14])
def test_a_timestamp_may_lie_in_the_past_or_the_future(timestamp: float) -> None:
    payload = validation.notification({**NOTIFICATION, "timestamp": timestamp})
    assert payload["timestamp"] == int(timestamp)
    assert type(payload["timestamp"]) is int


@pytest.mark.parametrize(
    ("fields", "field", "got"),
    [
        ({"title": None}, "title", "null"),
        ({"title": 5}, "title", "the number 5"),
        ({"title": ["a"]}, "title", "an array"),
        ({"title": {}}, "title", "an object"),
        ({"title": True}, "title", "true"),
        ({"title": ""}, "title", "blank"),
        ({"title": " \t\u2003"}, "title", "blank"),
        ({"title": "\ud800"}, "title", "a string with a lone surrogate"),
        ({"message": None}, "message", "null"),
        ({"message": "\udfff"}, "message", "a string with a lone surrogate"),
        ({"type": "fatal"}, "type", "'fatal'"),
        ({"type": ""}, "type", "blank"),
        ({"type": None}, "type", "null"),
        ({"type": ["info"]}, "type", "an array"),
        ({"timestamp": None}, "timestamp", "null"),
        ({"timestamp": "1700000000000"}, "timestamp", "'1700000000000'"),
        ({"timestamp": True}, "timestamp", "true"),
        ({"timestamp": -1}, "timestamp", "the number -1"),
        ({"timestamp": float("inf")}, "timestamp", "the number inf"),
        ({"timestamp": float("nan")}, "timestamp", "the number nan"),
        ({"timestamp": MAX_TIMESTAMP + 1}, "timestamp", f"the number {MAX_TIMESTAMP + 1}"),
        ({"timestamp": 10**400}, "timestamp", "the number 1" + "0" * 39),
    ],
)
def test_a_notification_names_the_field_at_fault(
    fields: dict[str, Any], field: str, got: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        validation.notification(NOTIFICATION | fields)
    assert (caught.value.field, caught.value.got) == (field, got)


@pytest.mark.parametrize("field", ACTIVITY)
def test_an_activity_names_the_field_that_is_missing(field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validation.activity({name: ACTIVITY[name] for name in ACTIVITY if name != field})
    assert (caught.value.field, caught.value.got) == (field, "missing")


def test_what_is_wrong_is_not_repeated_at_length() -> None:
    with pytest.raises(ValidationError) as caught:
        validation.notification({**NOTIFICATION, "type": "x" * 100_000})
    assert len(caught.value.got) < 60


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "[Infinity]", '{"a":-Infinity}', "[" * 100_000, '{"a":' * 50_000, "9" * 5000],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'"{}"', b"1", b"\xff", '{"a":1}'.encode("utf-16")]
)
def test_a_body_is_an_object_in_utf8(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_body(body)
    assert caught.value.field == "body"


@pytest.mark.parametrize(("value", "limit"), [(None, 20), ("1", 1), ("100", 100)])
def test_a_limit(value: str | None, limit: int) -> None:
    assert validation.limit(value) == limit


@pytest.mark.parametrize(
    "value", ["", "0", "101", "-1", "ten", "1.0", " 1", "1_0", "²", "٣", "9" * 99]
)
def test_a_limit_out_of_range(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validation.limit(value)
    assert caught.value.field == "limit"


@pytest.mark.parametrize(
    ("value", "after"), [(None, -1), ("-1", -1), ("0", 0), (str(2**53 - 1), 2**53 - 1)]
)
def test_an_id_that_rows_come_after(value: str | None, after: int) -> None:
    assert validation.after(value) == after


@pytest.mark.parametrize(
    "value", ["", "-2", "--1", "+1", "x", "1.0", " 1", "1\n", "1_0", "²", "٣", str(2**53), "9" * 99]
)
def test_what_no_rows_come_after(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validation.after(value)
    assert caught.value.field == "after"
    assert caught.value.expected == f"a whole number from -1 to {2**53 - 1}"


@given(near_misses)
def test_any_object_is_either_refused_or_fit_to_send(body: dict[str, Any]) -> None:
    for validate in (validation.notification, validation.activity):
        try:
            payload = validate(body)
        except ValidationError as error:
            json.dumps(error.got, ensure_ascii=False).encode()
        else:
            json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
