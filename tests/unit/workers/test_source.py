from __future__ import annotations

import json
import linecache
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operation import marked
from workers import source
from workers.packages import normalized

URL = "https://page.example/app/mine.py?v=2"
FILE = """\
import dataclasses
from services.operation import operation

here: int = 5

@operation
def double(value, *, times: int = 2):
    return value * times

def broken():
    return 1 / 0
"""


@pytest.fixture(autouse=True)
def _unloaded():
    yield
    sys.modules.pop("mine", None)
    linecache.cache.pop(URL, None)


def test_a_file_is_run_as_a_module_of_its_own():
    found = source.run(FILE, URL)
    assert found["double"](4) == 8
    assert (found["__name__"], found["__file__"]) == ("mine", URL)
    assert marked(found["double"])[0].name == "double"
    assert sys.modules["mine"].__dict__ is found


def test_annotations_are_what_the_file_says_they_are():
    assert source.run(FILE, URL)["__annotations__"] == {"here": int}
    text = source.run("from __future__ import annotations\nhere: int = 5", URL)
    assert text["__annotations__"] == {"here": "int"}


def test_a_traceback_shows_the_lines_of_the_file():
    source.run(FILE, URL)
    assert linecache.getline(URL, 11) == "    return 1 / 0\n"


def test_a_file_does_not_take_the_place_of_a_module_that_is_there():
    before = sys.modules["json"]
    source.run("x = 1", "https://page.example/json.py")
    assert sys.modules["json"] is before


def test_what_a_file_raises_comes_out():
    for text, error in (
        ("1 / 0", ZeroDivisionError),
        ("def", SyntaxError),
        ("exit(1)", SystemExit),
    ):
        with pytest.raises(error):
            source.run(text, URL)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ROWS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), max_size=5)


@given(ROWS, st.booleans(), st.sampled_from(["", "\n", " \r\n", "\ufeff"]))
def test_an_array_of_objects_is_rows(rows, escaped, before):
    text = json.dumps(rows, ensure_ascii=escaped)
    assert source.rows_of(f"{before}{text}\n", URL) == rows


@given(ROWS, st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_an_object_a_line_is_rows(rows, escaped, end):
    text = "".join(json.dumps(row, ensure_ascii=escaped) + end for row in rows)
    assert source.rows_of(text, URL) == rows


def test_a_text_may_have_what_other_alphabets_take_for_a_line_end():
    rows = [{"a": "one\u2028two\u2029three\x85four"}]
    assert source.rows_of(json.dumps(rows[0], ensure_ascii=False), URL) == rows


@pytest.mark.parametrize("text", ["", " ", "\n", "[]", "\ufeff"], ids=repr)
def test_nothing_is_no_rows(text):
    assert source.rows_of(text, URL) == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[",
        "[1]",
        "5",
        "null",
        '"a"',
        "[{}, []]",
        "{}\n5",
        "{}{}",
        "<html>",
        "[NaN]",
        "[" * 9999,
    ],
    ids=lambda text: text[:9],
)
def test_what_is_no_rows_is_refused_with_its_url(text):
    with pytest.raises(ValueError, match=r"mine\.py") as caught:
        source.rows_of(text, URL)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "expected"),
    [("NumPy", "numpy"), ("a_b.c-d", "a-b-c-d"), ("a__b", "a-b"), ("x", "x")],
)
def test_names_of_packages_are_compared_as_pep_503_says(name, expected):
    assert normalized(name) == expected
