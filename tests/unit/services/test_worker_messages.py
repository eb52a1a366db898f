from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFrame
from services.worker_messages import (
    FROM_WORKER,
    LAYOUTS,
    TO_WORKER,
    Alive,
    Failed,
    Hello,
    Progressed,
    Raised,
    Ready,
    Returned,
    Run,
    Start,
    Stop,
    Stopped,
    decode_from_worker,
    decode_to_worker,
    encode,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
# With lone surrogates: what Python's text may hold, and JSON's escapes.
TEXT = st.text(st.characters(), max_size=20)
TEXTS = st.lists(TEXT, max_size=4).map(tuple)
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LAYOUT = st.sampled_from(LAYOUTS)
ID = st.integers()

TO = {
    Start: st.builds(Start, TEXT, TEXTS, TEXT),
    Run: st.builds(Run, ID, TEXT, LAYOUT, TEXT, TEXTS, ID),
    Stop: st.builds(Stop, ID),
}
FROM = {
    Hello: st.builds(Hello, TEXT),
    Ready: st.builds(
        Ready,
        st.lists(st.lists(TEXT | ID, max_size=3), max_size=3).map(tuple),
    ),
    Failed: st.builds(Failed, TEXT, TEXT, TEXT),
    Alive: st.builds(Alive),
    Progressed: st.builds(Progressed, ID, NUMBER, st.none() | NUMBER, TEXT),
    Returned: st.builds(Returned, ID, LAYOUT),
    Raised: st.builds(Raised, ID, TEXT, TEXT, TEXT),
    Stopped: st.builds(Stopped, ID),
}
GOOD = {
    Start: Start("u"),
    Run: Run(1, "sort", "rows"),
    Stop: Stop(1),
    Hello: Hello("3"),
    Ready: Ready(()),
    Failed: Failed("E", "m", "t"),
    Progressed: Progressed(1, 0.5, None, ""),
    Returned: Returned(1, "value"),
    Raised: Raised(1, "E", "m", "t"),
    Stopped: Stopped(1),
}


def decode(message, header):
    return (decode_to_worker if type(message) in TO else decode_from_worker)(header)


def test_the_messages_are_a_closed_set():
    assert set(TO_WORKER.values()) == TO.keys()
    assert set(FROM_WORKER.values()) == FROM.keys()
    assert not TO_WORKER.keys() & FROM_WORKER.keys()


@pytest.mark.parametrize("type_", [*TO, *FROM], ids=lambda type_: type_.kind)
def test_each_message_arrives_as_it_was(type_):
    @given({**TO, **FROM}[type_])
    def check(message):
        header = encode(message)
        assert header.isascii()
        assert header.startswith(f'{{"kind": "{type_.kind}"')
        assert decode(message, header) == message

    check()


@pytest.mark.parametrize(("done", "total"), [(math.nan, 1.0), (1.0, math.inf)])
def test_numbers_that_are_none_or_without_end_are_no_progress(done, total):
    with pytest.raises(InvalidFrame):
        decode_from_worker(encode(Progressed(1, done, total, "")))


@pytest.mark.parametrize("message", GOOD.values(), ids=lambda message: message.kind)
def test_neither_side_takes_what_the_other_is_told(message):
    other = decode_from_worker if type(message) in TO else decode_to_worker
    with pytest.raises(InvalidFrame, match="kind: expected one of"):
        other(encode(message))


@given(st.none() | st.binary() | st.integers() | TEXT | st.lists(TEXT) | st.just(object()))
def test_a_header_that_is_no_json_object_is_refused(header):
    for decoder in (decode_to_worker, decode_from_worker):
        with pytest.raises(InvalidFrame, match="expected an object as JSON"):
            decoder(header)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"kind":' * 100_000,
        "9" * 10_000,
        '{"kind": "stop", "id": ' + "9" * 10_000 + "}",
        '"stop"',
        "null",
        "[]",
        "NaN",
        "{",
        '\ufeff{"kind": "alive"}',
    ],
    ids=lambda text: text[:30],
)
def test_text_that_is_no_header_is_refused_whatever_its_size(text):
    for decoder in (decode_to_worker, decode_from_worker):
        with pytest.raises(InvalidFrame, match="expected"):
            decoder(text)


@given(JSON, st.sampled_from([*TO_WORKER, *FROM_WORKER]))
def test_whatever_comes_is_a_message_or_an_invalid_frame(value, kind):
    values = value if isinstance(value, dict) else {"id": value}
    for decoder in (decode_to_worker, decode_from_worker):
        with suppress(InvalidFrame):  # and nothing else
            decoder(json.dumps({**values, "kind": kind}))
        with suppress(InvalidFrame):
            decoder(json.dumps({**values, "kind": value}))


@pytest.mark.parametrize("message", GOOD.values(), ids=lambda message: message.kind)
def test_a_field_too_many_or_too_few_is_refused(message):
    values = json.loads(encode(message))
    with pytest.raises(InvalidFrame, match=f"{message.kind}: expected .*, came"):
        decode(message, json.dumps(values | {"more": 1}))
    for name in values.keys() - {"kind"}:
        fewer = {key: value for key, value in values.items() if key != name}
        with pytest.raises(InvalidFrame, match=f"{message.kind}: expected .*{name}"):
            decode(message, json.dumps(fewer))


WRONG = {
    "id": [None, 1.0, True, "1", [], {}],
    "rows": [None, 1.5, False, "1"],
    "layout": [None, "", "Rows", 1, ["rows"], {}],
    "done": [None, True, "1", []],
    "total": [True, "1", []],
    "packages": [None, "numpy", [1], {}],
    "columns": [None, "a", [None], [["a"]]],
    "operations": [None, {}, "sort", 1],
}


@pytest.mark.parametrize("message", GOOD.values(), ids=lambda message: message.kind)
def test_a_field_of_another_type_is_refused_and_named(message):
    values = json.loads(encode(message))
    for name in values.keys() - {"kind"}:
        for wrong in WRONG.get(name, [None, 1, True, [], {}]):
            with pytest.raises(InvalidFrame, match=f"{message.kind}, {name}: expected"):
                decode(message, json.dumps(values | {name: wrong}))


def test_an_error_stays_short_whatever_came():
    with pytest.raises(InvalidFrame) as caught:
        decode_from_worker(json.dumps({"kind": "x" * 100_000}))
    assert len(str(caught.value)) < 400
    with pytest.raises(InvalidFrame) as caught:
        decode_from_worker(json.dumps({"kind": "stopped", **{f"k{n}": n for n in range(10_000)}}))
    assert len(str(caught.value)) < 400
