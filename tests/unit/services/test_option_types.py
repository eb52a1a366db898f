from __future__ import annotations

import json
import typing
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConfigurationError
from services.option_types import from_annotation, is_type, mismatch, words

TABLE = [
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "str"),
    (None, "null"),
    (type(None), "null"),
    (Any, "any"),
    (object, "any"),
    (list, ["list", "any"]),
    (list[int], ["list", "int"]),
    (typing.List, ["list", "any"]),  # noqa: UP006
    (list[list[str]], ["list", ["list", "str"]]),
    (dict, ["dict", "any"]),
    (dict[str, Any], ["dict", "any"]),
    (dict[str, float], ["dict", "float"]),
    (Literal["asc", "desc"], ["choice", "asc", "desc"]),
    (int | None, ["union", "int", "null"]),
    (Optional[str], ["union", "str", "null"]),  # noqa: UP045
    (Union[int, str], ["union", "int", "str"]),  # noqa: UP007
    (list[dict[str, Any]] | None, ["union", ["list", ["dict", "any"]], "null"]),
]


@pytest.mark.parametrize(("annotation", "data"), TABLE, ids=lambda value: str(value)[:40])
def test_an_annotation_becomes_data_that_json_can_carry(annotation, data):
    assert from_annotation(annotation) == data
    assert is_type(json.loads(json.dumps(data)))
    assert words(data)


@pytest.mark.parametrize(
    "annotation",
    [
        tuple,
        set[int],
        bytes,
        dict[int, str],
        Literal[1],
        Literal["a", 1],
        Literal[()],
        list[bytes],
        int | bytes,
        complex,
        "int",
        [],
        {},
        5,
        typing.Callable,
    ],
    ids=str,
)
def test_an_annotation_that_is_none_of_the_table_is_refused(annotation):
    with pytest.raises(ConfigurationError, match="annotation: expected bool"):
        from_annotation(annotation)


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "",
        "integer",
        [],
        ["list"],
        ["list", "int", "int"],
        ["list", "x"],
        ["dict"],
        ["dict", None],
        ["choice"],
        ["choice", 1],
        ["union"],
        ["union", "int", []],
        ["tuple", "int"],
        [["list"], "int"],
        {"list": "int"},
        ("list", "int"),
    ],
    ids=repr,
)
def test_what_is_no_type_is_told(data):
    assert not is_type(data)


def test_a_type_that_is_nested_without_end_is_none():
    for kind in ("list", "dict", "union"):
        data = "int"
        for _ in range(5000):
            data = [kind, data]
        assert not is_type(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.recursive(
    st.sampled_from(["bool", "int", "float", "str", "null", "any"])
    | st.lists(st.text(max_size=3), min_size=1, max_size=3).map(lambda parts: ["choice", *parts]),
    lambda inner: (
        st.tuples(st.sampled_from(["list", "dict"]), inner).map(list)
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: ["union", *parts])
    ),
    max_leaves=5,
)


def fits(data, value):
    """The table of `option_types`, once more."""
    match data:
        case "any":
            return True
        case "bool":
            return value is True or value is False
        case "int":
            return type(value) is int
        case "float":
            return type(value) in (int, float)
        case "str":
            return type(value) is str
        case "null":
            return value is None
        case ["list", inner]:
            return type(value) is list and not [v for v in value if not fits(inner, v)]
        case ["dict", inner]:
            return type(value) is dict and not [v for v in value.values() if not fits(inner, v)]
        case ["choice", *choices]:
            return type(value) is str and value in choices
        case ["union", *parts]:
            return True in [fits(part, value) for part in parts]


@given(TYPES, JSON)
def test_a_value_fits_or_it_is_said_what_was_expected(data, value):
    assert is_type(data)
    wrong = mismatch(data, value)
    if fits(data, value):
        assert wrong is None
    else:
        assert wrong.startswith(f"expected {words(data)}, came ")


@given(JSON)
def test_whatever_a_worker_sends_is_a_type_or_not(data):
    if is_type(data):
        mismatch(data, None)
        words(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [("int", True), ("float", False), ("bool", 1), ("bool", 0.0), ("int", 1.0), ("str", b"a")],
)
def test_booleans_and_numbers_are_not_taken_for_one_another(data, value):
    assert mismatch(data, value) is not None


def test_a_tuple_is_an_array():
    assert mismatch(["list", "int"], (1, 2)) is None
    assert mismatch(["list", "int"], (1, "2")) is not None


def test_the_keys_of_an_object_are_text():
    assert mismatch(["dict", "any"], {1: 2}) == "expected an object, came an object with 1 keys"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("int", "expected a whole number, came 'x'"),
        (["choice", "asc", "desc"], "expected one of asc, desc, came 'x'"),
        (["list", "any"], "expected an array, came 'x'"),
        (["list", "int"], "expected an array, each a whole number, came 'x'"),
        (["dict", "float"], "expected an object of a number, came 'x'"),
        (["union", "int", "null"], "expected a whole number or null, came 'x'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_words(data, said):
    assert mismatch(data, "x") == said
