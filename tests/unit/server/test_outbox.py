from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from pycrdt import Doc, Text

from server import document_frames
from server.lib0 import Reader
from server.outbox import Outbox

pytestmark = pytest.mark.anyio


def updates(count: int) -> list[bytes]:
    doc: Doc[Text] = Doc()
    text = doc.get("content", type=Text)
    made: list[bytes] = []
    doc.observe(lambda event: made.append(event.update))
    for n in range(count):
        text.insert(n, "x")
    return made


def encode(ids: Iterable[int]) -> bytes:
    return b"states " + bytes(sorted(ids))


def add(outbox: Outbox, changes: Iterable[bytes]) -> None:
    for change in changes:
        outbox.change(change, document_frames.update(change))


async def test_frames_in_order() -> None:
    outbox = Outbox(10, 1000)
    assert not outbox
    (change,) = updates(1)
    outbox.frame(b"first")
    add(outbox, [change])
    outbox.frame(b"last")
    assert outbox
    frames = [await outbox.take(encode) for _ in range(3)]
    assert frames == [b"first", document_frames.update(change), b"last"]
    taking = asyncio.create_task(outbox.take(encode))
    await asyncio.sleep(0)
    outbox.frame(b"later")
    assert await taking == b"later"


async def test_updates_that_wait_become_one() -> None:
    outbox = Outbox(100, 100_000)
    changes = updates(50)
    add(outbox, changes[:40])
    outbox.frame(b"between")
    add(outbox, changes[40:])
    doc: Doc[Text] = Doc()
    for expected in (40, 50):
        frame = await outbox.take(encode)
        doc.apply_update(Reader(frame[2:]).bytes())
        assert str(doc.get("content", type=Text)) == "x" * expected
        if expected == 40:
            assert await outbox.take(encode) == b"between"
    assert not outbox


async def test_of_states_only_the_last_are_told() -> None:
    outbox = Outbox(10, 1000)
    outbox.presence({1}, b"one")
    assert await outbox.take(encode) == b"one"
    outbox.presence({1}, b"one")
    outbox.presence({2, 3}, b"two")
    outbox.frame(b"before")
    assert await outbox.take(encode) == b"before"
    assert await outbox.take(encode) == b"states \1\2\3"
    assert not outbox


@pytest.mark.parametrize(("limit", "size"), [(3, 1000), (100, 60)])
async def test_too_much(limit: int, size: int) -> None:
    outbox = Outbox(limit, size)
    add(outbox, updates(6))
    assert outbox.overrun
    assert not outbox
    outbox.frame(b"x")
    assert not outbox


async def test_one_that_is_large_by_itself_passes() -> None:
    outbox = Outbox(10, 100)
    outbox.frame(b"x" * 1000)
    assert await outbox.take(encode) == b"x" * 1000
    assert not outbox.overrun
