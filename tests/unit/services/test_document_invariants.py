"""Whatever happens to pages, networks and tabs: nobody's keystroke is lost, and all end alike."""

from __future__ import annotations

import asyncio
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from services import y_messages
from services.document import DocumentSession
from tests.support.fake_documents import FakeDocumentServer
from tests.support.fake_platform import FakePlatform, settle

RUNS = 60 * int(os.environ.get("FAULT_RUNS", "1"))

FIRST = 0x4E00

page = st.integers(0, 4)
events = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), page, st.integers(0, 100), st.integers(1, 4)),
        st.tuples(st.just("delete"), page, st.integers(0, 100), st.integers(1, 3)),
        st.tuples(st.just("step"), page, st.integers(1, 3)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("cut"), page, st.sampled_from([1006, 1012, 4000])),
        st.tuples(st.just("down"), st.booleans()),
        st.tuples(st.just("advance"), page, st.sampled_from([0.1, 1.0, 12.0])),
        st.tuples(st.just("reload"), page),
        st.tuples(st.just("offline"), page, st.booleans()),
        st.tuples(st.just("freeze"), page),
    ),
    max_size=60,
)


class World:
    """Pages at one document: two that are tabs of one browser, and others alone in theirs."""

    def __init__(self, alone: int) -> None:
        self.server = FakeDocumentServer()
        shared = FakePlatform()
        self.platforms = [shared, FakePlatform(origin=shared.origin)]
        self.platforms += [FakePlatform() for _ in range(alone)]
        self.sessions: list[DocumentSession] = []
        self.written = 0
        self.deleted: set[str] = set()

    async def open(self, platform: FakePlatform) -> DocumentSession:
        self.server.attend(platform)
        session = DocumentSession(
            "notes", max_reconnect_attempts=None, user={"name": "N"}, platform=platform
        )
        await session.join()
        return session

    async def begin(self) -> None:
        self.sessions = [await self.open(platform) for platform in self.platforms]

    async def happen(self, event: tuple) -> None:
        what, *details = event
        index = details[0] % len(self.sessions) if details else 0
        session, platform = self.sessions[index], self.platforms[index]
        match what:
            case "insert":
                text = "".join(chr(FIRST + self.written + n) for n in range(details[2]))
                self.written += len(text)
                session.insert(details[1] % (len(session.text) + 1), text)
            case "delete" if session.text:
                at = details[1] % len(session.text)
                count = min(details[2], len(session.text) - at)
                self.deleted.update(session.text[at : at + count])
                session.delete(at, count)
            case "step":
                for socket in self.server.ends():
                    if socket in platform.sockets:
                        self.server.step(socket, most=details[1])
            case "settle":
                self.server.settle()
            case "cut":
                for socket in self.server.ends():
                    if socket in platform.sockets:
                        self.server.cut(socket, details[1])
            case "down":
                self.server.is_down = details[0]
            case "advance":
                platform.advance(details[1])
            case "reload":
                # As a crash: nobody says goodbye, and what is under way on the network is lost.
                for socket in self.server.ends():
                    if socket in platform.sockets:
                        self.server.cut(socket)
                platform.origin.kill(platform)
                platform.sockets.clear()
                self.platforms[index] = FakePlatform(origin=platform.origin)
                self.sessions[index] = await self.open(self.platforms[index])
            case "offline":
                platform.fire("offline" if details[1] else "online")
            case "freeze" if platform not in platform.origin.frozen:
                platform.origin.freeze(platform)
            case "freeze":
                platform.origin.thaw(platform)
        await settle()
        self.check_promises()

    def check_promises(self) -> None:
        """Whoever is told that what was written there is safe can rely on it."""
        has = y_messages.read_vector(self.server.doc.get_state())
        for session, platform in zip(self.sessions, self.platforms, strict=True):
            if not session.unsynced_changes:
                replica = platform.replicas[-1]
                written = y_messages.read_vector(replica.vector()).get(replica.client_id, 0)
                assert has.get(replica.client_id, 0) >= written

    async def end(self) -> None:
        self.server.is_down = False
        for platform in self.platforms:
            if platform in platform.origin.frozen:
                platform.origin.thaw(platform)
            platform.fire("online")
        for _ in range(12):
            self.server.settle()
            await settle()
            for platform in self.platforms:
                platform.advance(8)
        self.server.settle()
        await settle()

    def check(self) -> None:
        texts = {session.text for session in self.sessions} | {self.server.text}
        assert len(texts) == 1
        (text,) = texts
        expected = {chr(FIRST + n) for n in range(self.written)} - self.deleted
        assert sorted(text) == sorted(expected)
        for session, platform in zip(self.sessions, self.platforms, strict=True):
            assert session.synced
            assert session.unsynced_changes == 0
            assert not session.read_only
            assert platform.reported == []
            for record in platform.origin.documents.values():
                assert record.unsent == 0


@settings(max_examples=RUNS, deadline=None)
@given(alone=st.integers(0, 3), schedule=events)
def test_all_end_with_the_same_text_and_nothing_is_lost(alone, schedule):
    async def scenario():
        world = World(alone)
        await world.begin()
        for event in schedule:
            await world.happen(event)
        await world.end()
        world.check()
        for session in world.sessions:
            session.leave()
        assert all(p.timers == 0 and p.watchers == 0 for p in world.platforms)

    asyncio.run(scenario())
