"""Rooms without sockets: clients that edit, go and come back, and a gateway that is killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from server import document_frames, document_updates
from server.document_frames import EMPTY_UPDATE
from server.document_room import Limits, Member, Room
from server.document_rooms import Rooms
from server.document_store import DocumentStoreError, SQLiteDocumentStore, Stored
from server.document_updates import Inspection
from server.frames import CloseError
from server.lib0 import Reader
from server.metrics import Metrics
from server.replica import Replica

pytestmark = pytest.mark.anyio

LIMITS = Limits(size=10_000_000, clients=10, queue=1000)


class MemoryStore:
    """Stores for as long as it lives, and takes its time."""

    def __init__(self) -> None:
        self.updates: dict[str, list[tuple[int, bytes]]] = {}
        self.position = 0
        self.appends = 0
        self.error: DocumentStoreError | None = None

    async def load(self, document_id: str) -> Stored:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        stored = self.updates.get(document_id, [])
        return Stored([update for _, update in stored], stored[-1][0] if stored else 0)

    async def append(self, document_id: str, updates: Sequence[bytes]) -> int:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        self.appends += 1
        for update in updates:
            self.position += 1
            self.updates.setdefault(document_id, []).append((self.position, update))
        return self.position

    async def squash(self, document_id: str, updates: Sequence[bytes], *, until: int) -> None:
        await asyncio.sleep(0)
        kept = [item for item in self.updates[document_id] if item[0] > until]
        self.updates[document_id] = kept
        await self.append(document_id, updates)

    def close(self) -> None:
        pass


class Person:
    """A client: a document, and a room's member while it is connected."""

    def __init__(self) -> None:
        self.doc: Doc[Text] = Doc()
        self.text = self.doc.get("content", type=Text)
        self.room: Room | None = None
        self.ends: list[CloseError] = []
        self.answers: list[bytes] = []
        self.doc.observe(self._send)

    def connect(self, room: Room) -> None:
        self.room, self.member = room, Member(LIMITS, self.ends.append)
        room.join(self.member)
        self.ask()

    def ask(self) -> None:
        assert self.room
        vector = self.doc.get_state()
        self.room.question(self.member, vector, document_updates.state_vector(vector))

    def disconnect(self) -> None:
        if self.room:
            self.room.leave(self.member)
        self.room = None

    def send(self, update: bytes) -> None:
        assert self.room
        if update != EMPTY_UPDATE:
            inspection = Inspection(update)
            list(inspection)
            self.room.change(self.member, update, is_mixed=inspection.is_mixed)

    async def read(self) -> None:
        """Take all that waits."""
        while self.room and self.member.outbox:
            frame = await self.member.outbox.take(self.room.presence)
            if frame[0]:
                continue
            body = Reader(frame[2:]).bytes()
            if frame[1] == 0:
                self.send(self.doc.get_update(body))
                continue
            if frame[1] == 1:
                self.answers.append(body)
            room, self.room = self.room, None  # what comes from there does not go back
            self.doc.apply_update(body)
            self.room = room

    def _send(self, event: Any) -> None:
        if self.room:
            self.send(event.update)

    def edit(self, rng: random.Random) -> None:
        size = len(self.text)
        if size and rng.random() < 0.3:
            start = rng.randrange(size)
            del self.text[start : min(size, start + rng.randint(1, 4))]
        else:
            self.text.insert(rng.randint(0, size), rng.choice(["a", "bc", "def "]))


def make_room(store: MemoryStore | SQLiteDocumentStore, stored: Stored, **options: Any) -> Room:
    options = {"limits": LIMITS, "metrics": Metrics(), "on_failed": lambda _: None} | options
    return Room("a", stored, store=store, **options)


async def quiet(room: Room, people: Sequence[Person]) -> None:
    """Return when everything was stored, passed on and read."""
    while not room.is_settled or any(p.room and p.member.outbox for p in people):
        for person in people:
            await person.read()
        await room.settle()


STEPS = st.lists(
    st.tuples(st.sampled_from("eeeeeetrrdcask"), st.integers(0, 4)), min_size=1, max_size=60
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(2, 5), STEPS, st.integers())
def test_all_end_with_the_same_text(count: int, steps: list[tuple[str, int]], seed: int) -> None:
    asyncio.run(_converge(count, steps, seed))


async def _converge(count: int, steps: list[tuple[str, int]], seed: int) -> None:
    rng = random.Random(seed)
    store = MemoryStore()
    room = make_room(store, Stored([], 0))
    people = [Person() for _ in range(count)]
    for step, number in steps:
        person = people[number % count]
        match step:
            case "e":
                person.edit(rng)
            case "t":  # two in a row
                person.edit(rng)
                person.edit(rng)
            case "r":
                await person.read()
                await asyncio.sleep(0)
            case "d":
                person.disconnect()
            case "c" if not person.room:
                person.connect(room)
            case "a" if person.room:
                person.ask()
            case "s":
                await room.settle()
                await room.squash(above=0)
            case "k":
                # A kill: what is not stored is lost, and nobody has been shown it.
                shown = [p for p in people if p.room]
                stored = await store.load("a")
                for p in shown:
                    p.disconnect()
                room = make_room(store, stored)
    for person in people:
        if not person.room:
            person.connect(room)
    await quiet(room, people)
    for person in people:
        person.ask()
    await quiet(room, people)
    assert not any(person.ends for person in people)
    texts = {str(person.text) for person in people}
    assert texts == {room.content}
    # All have all: the last answers say no more.
    assert [person.answers[-1] for person in people] == [EMPTY_UPDATE] * count
    stored = await store.load("a")
    assert Replica(stored.updates).text == room.content
    for person in people:
        person.disconnect()


async def test_what_comes_together_is_stored_together() -> None:
    store = MemoryStore()
    room = make_room(store, Stored([], 0))
    people = [Person() for _ in range(5)]
    for person in people:
        person.connect(room)
    await quiet(room, people)
    for person in people:
        person.text.insert(0, "x")
    await quiet(room, people)
    assert store.appends == 1
    assert [len(person.text) for person in people] == [5] * 5


async def test_what_was_there_already_is_not_stored_again() -> None:
    store = MemoryStore()
    room = make_room(store, Stored([], 0))
    one, two = Person(), Person()
    one.connect(room)
    two.connect(room)
    one.text.insert(0, "abc")
    del one.text[1:2]
    await quiet(room, [one, two])
    appends = store.appends
    two.send(one.doc.get_update())
    one.disconnect()
    one.connect(room)
    await quiet(room, [one, two])
    assert store.appends == appends
    assert str(two.text) == "ac"


async def test_a_store_that_fails_ends_the_room_and_nobody_was_shown_anything() -> None:
    store, failed = MemoryStore(), []
    room = make_room(store, Stored([], 0), on_failed=failed.append)
    one, two = Person(), Person()
    one.connect(room)
    two.connect(room)
    await quiet(room, [one, two])
    store.error = DocumentStoreError("disk full")
    one.text.insert(0, "x")
    await room.settle()
    assert failed == [room]
    assert [(end.code, str(end)) for end in (*one.ends, *two.ends)] == [
        (1013, "the document cannot be kept")
    ] * 2
    assert not two.member.outbox


async def test_storage_stays_near_the_size_of_the_document(tmp_path: Path) -> None:
    """A long text, letter by letter, with corrections, as people write."""
    rng = random.Random(1)
    store = SQLiteDocumentStore(tmp_path / "documents.db")
    metrics = Metrics()
    room = make_room(store, Stored([], 0), metrics=metrics)
    writer = Person()
    writer.connect(room)
    position = 0
    for n in range(30_000):
        size = len(writer.text)
        if rng.random() < 0.01:
            position = rng.randint(0, size)
        if position and rng.random() < 0.15:
            position -= 1
            del writer.text[position : position + 1]
        else:
            writer.text.insert(position, rng.choice("etaoin shrdlu"))
            position += 1
        if n % 10 == 0:
            await asyncio.sleep(0)
        if n % 1000 == 0:
            await quiet(room, [writer])
            stored = await store.load("a")
            size = len(writer.doc.get_update())
            assert sum(map(len, stored.updates)) <= 3 * size + 200_000
    await quiet(room, [writer])
    await room.squash()
    store.close()
    size = len(writer.doc.get_update())
    assert (tmp_path / "documents.db").stat().st_size < 1.3 * size + 50_000
    again = SQLiteDocumentStore(tmp_path / "documents.db")
    assert Replica((await again.load("a")).updates).text == str(writer.text)
    again.close()
    writer.disconnect()


async def test_a_room_is_let_go_of_and_comes_back() -> None:
    store = MemoryStore()
    rooms = Rooms(store, LIMITS, Metrics(), linger=0.01)
    first = await rooms.join("a", Member(LIMITS, lambda _: None))
    assert rooms.open_count == 1
    person = Person()
    person.connect(first)
    for _ in range(30):
        person.text.insert(0, "x")
        await quiet(first, [person])
    person.disconnect()
    for member in tuple(first.members):
        rooms.leave(first, member)
    assert rooms.open_count == 0
    while rooms._rooms:
        await asyncio.sleep(0.01)
    # Squashed on the way.
    assert len(store.updates["a"]) == 1
    assert await rooms.content("a") == "x" * 30
    assert await rooms.content("b") == ""
    both = await asyncio.gather(*(rooms.join("a", Member(LIMITS, print)) for _ in range(2)))
    assert both[0] is both[1] is not first
    assert both[0].content == "x" * 30
    await rooms.close()


async def test_one_document_that_fails_harms_no_other() -> None:
    store = MemoryStore()
    await store.append("bad", [b"\1\1"])
    rooms = Rooms(store, LIMITS, Metrics())
    with pytest.raises(CloseError, match="cannot be read"):
        await rooms.join("bad", Member(LIMITS, print))
    await rooms.join("good", Member(LIMITS, print))
    await rooms.close()


async def test_a_slow_client_gets_one_update_for_many() -> None:
    store = MemoryStore()
    room = make_room(store, Stored([], 0))
    fast, slow = Person(), Person()
    fast.connect(room)
    slow.connect(room)
    await quiet(room, [fast, slow])
    for n in range(50):
        fast.text.insert(n, "x")
        await room.settle()
        await fast.read()
    frame = await slow.member.outbox.take(room.presence)
    assert frame[:2] == document_frames.update(b"")[:2]
    assert not slow.member.outbox
    slow.doc.apply_update(Reader(frame[2:]).bytes())
    assert str(slow.text) == "x" * 50
    fast.disconnect()
    slow.disconnect()
