from __future__ import annotations

import asyncio
import enum
import math
import struct
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import packing
from services.errors import InvalidCall, NotTransferable
from services.packing import CHUNK, Indices

FLOATS = st.floats() | st.sampled_from([math.nan, -0.0, math.inf, -math.inf, 5e-324])
INTEGERS = st.integers() | st.sampled_from([2**31, 2**63, -(2**64), 10**4000])
TEXTS = st.text(st.characters(), max_size=10)  # lone surrogates too
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS | st.binary(max_size=5)
HASHABLE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
VALUES = st.recursive(
    SCALARS | st.complex_numbers(max_magnitude=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.frozensets(HASHABLE, max_size=3)
        | st.sets(HASHABLE, max_size=3)
    ),
    max_leaves=12,
)
NAMES = ["price", "name", "größe", ""]
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), SCALARS, max_size=4), max_size=8)


def exact(value):
    """What a value is, so that 1, 1.0 and True differ, and a NaN is itself."""
    match value:
        case float():
            return ("float", struct.pack("d", value))
        case complex():
            return ("complex", struct.pack("dd", value.real, value.imag))
        case list() | tuple():
            return (type(value), [exact(each) for each in value])
        case dict():
            return (dict, [(exact(key), exact(each)) for key, each in value.items()])
        case set() | frozenset():
            return (type(value), sorted(repr(exact(each)) for each in value))
    return (type(value), value)


class Pauses:
    """Counts how often the page might have lived."""

    def __init__(self):
        self.count = 0

    async def __call__(self):
        self.count += 1
        await asyncio.sleep(0)


async def _at_once():
    pass


def packed_rows(rows):
    return asyncio.run(packing.pack_rows(rows, _at_once))


def packed_columns(rows, names):
    return asyncio.run(packing.pack_columns(rows, names, _at_once))


# Exact


@given(VALUES)
def test_a_value_comes_out_as_it_went_in(value):
    assert exact(packing.unpack([packing.pack(value)])) == exact(value)


@given(ROWS)
def test_rows_come_out_as_they_went_in(rows):
    assert exact(packing.unpack_rows(packed_rows(rows))) == exact(rows)


@given(ROWS, st.lists(st.sampled_from(NAMES), unique=True))
def test_columns_are_what_the_rows_have_and_none_where_they_have_nothing(rows, names):
    names = [name for name in names if not rows or any(name in row for row in rows)]
    columns = packing.unpack_columns(packed_columns(rows, names), len(names))
    assert exact(columns) == exact([[row.get(name) for row in rows] for name in names])


def test_numbers_keep_their_kind():
    values = [True, 1, 1.0, False, 0, 0.0, -0.0]
    kinds = [(type(value), math.copysign(1, value)) for value in values]
    there = packing.unpack([packing.pack(values)])
    assert [(type(value), math.copysign(1, value)) for value in there] == kinds


def test_an_integer_too_long_to_be_written_goes_through():
    assert packing.unpack([packing.pack([10**5000])]) == [10**5000]


def test_what_has_a_buffer_comes_out_as_bytes():
    assert packing.unpack([packing.pack([bytearray(b"ab"), array("B", [1])])]) == [b"ab", b"\1"]


def test_lone_surrogates_go_through():
    text = "a\ud800b\udfff"
    assert packing.unpack([packing.pack({text: text})]) == {text: text}
    assert packing.unpack_columns(packed_columns([{text: text}], [text]), 1) == [[text]]


@given(st.lists(st.integers(0, 9), max_size=20))
def test_row_numbers_bring_the_callers_own_rows(indices):
    rows = [{"n": n} for n in range(10)]
    found = asyncio.run(packing.pick(rows, [packing.pack_indices(indices)], _at_once))
    assert [id(row) for row in found] == [id(rows[n]) for n in indices]


# What cannot travel


class Colour(enum.IntEnum):
    RED = 1


class Mute:
    def __repr__(self):
        raise RuntimeError("no")

    def __hash__(self):
        return 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "came a value of type object"),
        ({"a": [1, object()]}, r"came a value of type object at \['a'\]\[1\]"),
        ({"a": {"b": (Colour.RED,)}}, r"at \['a'\]\['b'\]\[0\]"),
        ({object(): 1}, "came a value of type object at a key of it"),
        ({"a": {object(): 1}}, r"came a value of type object at a key of \['a'\]"),
        ({1, object()}, "came a value of type object"),
        (len, "came a value of type builtin_function_or_method"),
        (type("Text", (str,), {})("x"), "came 'x'"),
        (type("Row", (dict,), {})(), "came an object with 0 keys"),
        (Indices([1]), "came an array of 1"),
        ({Mute(): 1}, "came a value of type Mute at a key of it"),
        ({Mute(): object()}, "came a value of type object at"),
        ({10**5000: object()}, "came a value of type object at"),
        ([{("a", Mute()): [object()]}], "came a value of type"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_travel_is_named_with_its_place(value, words):
    with pytest.raises(NotTransferable, match=words):
        packing.pack(value)
    with pytest.raises(NotTransferable):
        packed_rows([{"a": value}])


def test_the_place_in_rows_and_columns_is_told():
    rows = [{"a": 1}, {"a": object()}]
    with pytest.raises(NotTransferable, match=r"type object at \[1\]\['a'\]"):
        packed_rows(rows)
    with pytest.raises(NotTransferable, match=r"type object at \[0\]\[1\]"):
        packed_columns(rows, ["a"])


def test_a_value_in_itself_comes_out_in_itself_or_says_what_is_wrong():
    value = []
    value.append(value)
    there = packing.unpack([packing.pack(value)])
    assert there[0] is there
    value.append(object())
    with pytest.raises(NotTransferable, match="expected None, booleans"):
        packing.pack(value)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [1, 50, 500, 900])
def test_what_is_nested_comes_out(depth):
    found = packing.unpack([packing.pack(nested(depth))])
    for _ in range(depth):
        (found,) = found
    assert found == 1


@pytest.mark.parametrize("depth", [5000, 50_000])
def test_what_is_nested_too_deep_is_refused(depth):
    with pytest.raises(NotTransferable, match="nested deeper than 100"):
        packing.pack(nested(depth))


def test_whatever_can_be_packed_can_be_unpacked():
    for depth in range(1900, 2100):
        try:
            buffer = packing.pack(nested(depth))
        except NotTransferable:
            break
        packing.unpack([buffer])
    else:
        pytest.fail("it was never too deep")


def test_the_search_for_what_cannot_travel_ends():
    with pytest.raises(NotTransferable) as caught:
        packing.pack([*([0] * 300_000), object()])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("version", [packing.SHARES, packing.PLAIN])
@given(value=VALUES, end=st.integers(0, 60))
def test_a_buffer_cut_short_is_refused(version, value, end):
    whole = packing._dumps(value, version)
    if end < len(whole):
        with pytest.raises(NotTransferable, match="expected packed data"):
            packing.unpack([whole[:end]])


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_value_is_one_buffer(count):
    with pytest.raises(NotTransferable, match=f"one buffer, came {count}"):
        packing.unpack([packing.pack(1)] * count)


@pytest.mark.parametrize(
    "rows", [{"a": 1}, "abc", None, 7, {1}, iter([]), range(3)], ids=lambda rows: repr(rows)[:12]
)
def test_rows_are_a_list_or_a_tuple(rows):
    with pytest.raises(NotTransferable, match="expected a list of rows"):
        packing.check_rows(rows)


def test_the_first_row_is_looked_at():
    with pytest.raises(NotTransferable, match="row 0: expected a dict, came 5"):
        packing.check_rows([5])
    assert packing.check_rows([]) == []
    assert packing.check_rows(({},)) == ({},)


@pytest.mark.parametrize("before", [[{"a": 1}], [{"b": 1}], [{"a": 1}, {"b": 2}]], ids=repr)
@pytest.mark.parametrize("wrong", [None, 5, "text", [1], object()], ids=lambda row: str(row)[:8])
def test_a_row_that_is_none_is_named_by_its_number(before, wrong):
    with pytest.raises(NotTransferable, match=f"row {len(before)}: expected a dict"):
        packed_columns([*before, wrong], ["a"])


def test_a_field_that_no_row_has_is_refused_and_the_others_are_listed():
    with pytest.raises(InvalidCall, match="expected one of a, b, came 'c'"):
        packed_columns([{"a": 1}, {"b": 2}], ["a", "c"])
    assert packed_columns([], ["c"]) == []
    with pytest.raises(InvalidCall, match=r"f19 … \(30\), came 'c'"):
        packed_columns([{f"f{n}": n for n in range(30)}], ["c"])


@pytest.mark.parametrize("data", [None, 5, {"a": 1}, "abc", [{}], ()], ids=repr)
def test_row_numbers_that_are_not_there_are_refused(data):
    with pytest.raises(NotTransferable, match="row numbers: expected"):
        asyncio.run(packing.pick(data, [packing.pack_indices([0, 4_000_000_000])], _at_once))


def test_a_buffer_that_holds_no_row_numbers_is_refused():
    for size in (1, 2, 3, 5):
        with pytest.raises(NotTransferable, match="row numbers"):
            asyncio.run(packing.pick([{}], [bytes(size)], _at_once))


@pytest.mark.parametrize("wrong", [[-1], [2**32], ["a"], [None]], ids=repr)
def test_what_is_no_row_number_cannot_be_packed(wrong):
    with pytest.raises((OverflowError, TypeError)):
        packing.pack_indices(wrong)


# Long data


@pytest.mark.parametrize(
    ("count", "buffers"), [(0, 0), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (3 * CHUNK, 3)]
)
def test_long_data_is_packed_in_chunks_with_a_pause_between(count, buffers):
    rows = [{"n": n} for n in range(count)]

    async def scenario():
        pauses = Pauses()
        packed = await packing.pack_rows(rows, pauses)
        assert (len(packed), pauses.count) == (buffers, max(0, buffers - 1))
        assert packing.unpack_rows(packed) == rows
        pauses = Pauses()
        packed = await packing.pack_columns(rows, ["n"], pauses)
        assert (len(packed), pauses.count) == (buffers, max(0, buffers - 1))
        assert packing.unpack_columns(packed, 1) == [list(range(count))]
        pauses = Pauses()
        backwards = packing.pack_indices(range(count - 1, -1, -1))
        assert await packing.pick(rows, [backwards], pauses) == rows[::-1]
        assert pauses.count == max(0, buffers - 1)

    asyncio.run(scenario())


def test_a_field_that_only_a_later_chunk_has_is_there():
    rows = [{"n": n} for n in range(CHUNK)] + [{"m": 1}]
    columns = packing.unpack_columns(packed_columns(rows, ["m", "n"]), 2)
    assert columns == [[None] * CHUNK + [1], [*range(CHUNK), None]]
    with pytest.raises(NotTransferable, match=f"row {CHUNK + 1}: expected a dict"):
        packed_columns([*rows, 5], ["m"])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_row_numbers_are_32_bits_each(indices):
    buffer = packing.pack_indices(indices)
    assert len(buffer) == 4 * len(indices)
    assert list(array("I", buffer)) == indices
