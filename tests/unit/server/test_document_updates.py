"""Updates as Yjs and yrs write them, and what becomes of them on the way."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, merge_updates

from server import document_updates
from server.document_updates import Inspection
from server.lib0 import MalformedError
from server.replica import Replica, SpoiltError


def inspect(update: bytes) -> Inspection:
    inspection = Inspection(update)
    for _ in inspection:
        pass
    return inspection


def history(seed: int, steps: int = 60) -> list[bytes]:
    """Return the updates of some clients that edit together."""
    rng = random.Random(seed)
    docs: list[Doc[Text]] = [Doc() for _ in range(3)]
    made: list[bytes] = []
    for doc in docs:
        doc.get("content", type=Text)
        doc.observe(lambda event: made.append(event.update))
    for _ in range(steps):
        doc = rng.choice(docs)
        text = doc.get("content", type=Text)
        kind, size = rng.random(), len(text)
        if kind < 0.5 or not size:
            text.insert(rng.randint(0, size), rng.choice(["a", "bcd"]))
        elif kind < 0.7:
            start = rng.randrange(size)
            del text[start : min(size, start + rng.randint(1, 3))]
        elif kind < 0.75:
            text.format(0, size, {"bold": True})
        else:
            doc.apply_update(rng.choice(docs).get_update())
    return [*made, *(doc.get_update() for doc in docs), merge_updates(*made)]


@pytest.mark.parametrize("seed", range(5))
def test_real_updates_pass(seed: int) -> None:
    for update in history(seed):
        assert not inspect(update).is_mixed


def test_plain_values_pass_and_are_told() -> None:
    doc: Doc[Text] = Doc()
    doc.get("map", type=Map)["key"] = {"a": [1, 2.5, "x", None, True, 2**40, -5, b"bytes"]}
    doc.get("list", type=Array).extend(["x", 5])
    assert inspect(doc.get_update()).is_mixed


def test_what_documents_cannot_hold() -> None:
    doc: Doc[Text] = Doc()
    doc.get("content", type=Text).insert_embed(0, {"image": "x"})
    with pytest.raises(MalformedError, match="an embedded object"):
        inspect(doc.get_update())
    doc = Doc()
    doc.get("map", type=Map)["key"] = Map({})
    with pytest.raises(MalformedError, match="a type within a type"):
        inspect(doc.get_update())


def update_of(*structs: bytes, deletions: bytes = b"\x00") -> bytes:
    """Return an update with structs of client 5, from clock 0 on."""
    return bytes((1, len(structs), 5, 0)) + b"".join(structs) + deletions


ROOT = b"\x01\x07content"


@pytest.mark.parametrize(
    "update",
    [
        update_of(b"\x00\x00"),
        update_of(b"\x0a\x00", b"\x04" + ROOT + b"\x02hi"),
        update_of(b"\x04" + ROOT + b"\x00"),
        update_of(b"\x01" + ROOT + b"\x00"),
        update_of(b"\x08" + ROOT + b"\x00"),
        update_of(b"\x04" + ROOT + b"\x02hi", deletions=b"\x01\x05\x01\x00\x00"),
        update_of(b"\x84\x05\x00\x02hi"),
        update_of(b"\x84\x05\x01\x02hi", b"\x04" + ROOT + b"\x02hi"),
        update_of(b"\x44\x05\x01\x02hi", b"\x04" + ROOT + b"\x02hi"),
        update_of(b"\x04\x00\x05\x00\x02hi"),
        update_of(b"\x84\x06\xff\xff\xff\xff\x3f\x02hi"),
    ],
)
def test_what_yrs_takes_and_yjs_cannot_read_is_refused(update: bytes) -> None:
    """One such in a document, and no page could open it any more."""
    with pytest.raises(MalformedError, match="in the update"):
        inspect(update)


def test_a_long_update_pauses() -> None:
    doc: Doc[Text] = Doc()
    text = doc.get("content", type=Text)
    for _ in range(9000):
        text.insert(0, "x")
    assert len(list(Inspection(doc.get_update()))) == 4


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for read in (inspect, document_updates.state_vector):
        with contextlib.suppress(MalformedError):
            read(data)


BASE = history(1)
REPLICA = Replica(BASE)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(BASE), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=2))))
def test_what_is_left_of_an_update(update: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Whatever passes the inspection can be applied or is refused, and the rest goes on."""
    for position, replacement in changes:
        position %= len(update) + 1
        update = update[:position] + replacement + update[position + 1 :]
    try:
        is_mixed = inspect(update).is_mixed
    except MalformedError:
        return
    replica = Replica([REPLICA.encoded()])
    try:
        with replica.transaction():
            replica.apply(update, is_mixed=is_mixed)
        replica.news()
    except MalformedError:
        assert replica.text == REPLICA.text
    except SpoiltError:
        return
    doc: Doc[Text] = Doc()
    doc.apply_update(replica.encoded())
    doc.get("content", type=Text).insert(0, "usable ")
    with replica.transaction():
        replica.apply(doc.get_update())
    assert replica.news()
    assert replica.text.startswith("usable ")


def test_a_state_vector() -> None:
    assert document_updates.state_vector(REPLICA.vector()) == REPLICA.clocks()
    assert document_updates.is_covered({1: 2}, by={1: 2, 3: 4})
    assert not document_updates.is_covered({1: 2}, by={1: 1})
    assert not document_updates.is_covered({1: 2}, by={})
