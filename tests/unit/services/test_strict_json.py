from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.strict_json import BRIEF, MAX_DEPTH, loads, loads_brief_objects

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_python_writes_comes_back(value):
    assert loads(json.dumps(value)) == value


@given(st.text(alphabet='[]{}":,\\ 0ntrue'))
def test_anything_else_is_a_value_error(text):
    with contextlib.suppress(ValueError):
        loads(text)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "[NaN]"])
def test_rfc_8259_section_6_numbers(constant):
    with pytest.raises(ValueError, match="is not JSON"):
        loads(constant)


def nested(depth):
    return '[{"a":' * (depth // 2) + "1" + "}]" * (depth // 2)


def test_depth_is_bounded_exactly():
    assert loads(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="nested deeper"):
        loads(nested(MAX_DEPTH + 2))


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6, '["]",' * 10**6, "[{" * 10**6])
def test_too_deep_is_told_before_the_parser_runs(text):
    with pytest.raises(ValueError, match="nested deeper"):
        loads(text)


@pytest.mark.parametrize("text", ["[" * (BRIEF - 1), '{"":' * (BRIEF // 4 - 1)])
def test_brief_text_without_its_ends(text):
    with pytest.raises(ValueError):
        loads(text)


def test_width_and_brackets_in_strings_are_no_depth():
    wide = [{"text": '[[[{"\\' * 100}] * 1000
    assert loads(json.dumps(wide)) == wide


@pytest.mark.parametrize("tail", ['"' + '\\"' * 10**6, '"' * 10**6, "\\" * 10**6, "[]" * 10**6])
def test_no_text_takes_long(tail):
    start = time.perf_counter()
    with pytest.raises(ValueError):
        loads("[" * 200 + tail)
    assert time.perf_counter() - start < 5


def together(*texts):
    return "\x1e".join(texts).encode()


LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.lists(st.dictionaries(st.text(), LEAVES | st.lists(LEAVES)), min_size=1, max_size=9))
def test_objects_together_are_what_each_is_alone(objects):
    texts = [json.dumps(value, ensure_ascii=False) for value in objects]
    assert loads_brief_objects(together(*texts)) == objects


ODD = [
    "",
    "{",
    "}",
    "[1]",
    "7",
    '{"a":NaN}',
    '{"a":1},{"b":2}',
    "{}}",
    "{} ",
    " {}",
    '{"a":[{}',
    "{}]}",
]


@pytest.mark.parametrize("odd", ODD)
def test_one_that_is_no_object_refuses_all(odd):
    for texts in ([odd, "{}"], ["{}", odd], ["{}", odd, "{}"], [odd, odd]):
        with pytest.raises(ValueError):
            loads_brief_objects(together(*texts))


def test_no_text_reaches_into_the_next():
    with pytest.raises(ValueError, match="came something else at 0"):
        loads_brief_objects(together(*['{"a":' + "[" * (BRIEF - 10) + "{}"] * 50))
    with pytest.raises(ValueError):
        loads_brief_objects(together('{"a":[{}', "{}]}", "{},{}"))
