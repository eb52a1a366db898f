"""A connection that tabs share loses nothing and repeats nothing, whatever becomes of the tabs."""

from __future__ import annotations

import asyncio
import contextlib
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared_connection import SharedConnection
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, settle
from tests.support.fake_server import FakeServer

MOST_TABS = 5

NUMBERS = st.integers(0, MOST_TABS - 1)
STEPS = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from([1, 2, 3, 7, 7, 1200])),
    st.tuples(st.just("cut"), st.sampled_from([1006, 1012])),
    st.tuples(st.just("go on"), st.sampled_from([1, 2, 30])),
    st.tuples(st.just("tick"), st.just(0)),
    st.tuples(st.sampled_from(["ask", "lag", "hear", "leave", "return"]), NUMBERS),
    st.tuples(st.sampled_from(["open", "kill", "close", "freeze", "thaw"]), NUMBERS),
    st.tuples(st.sampled_from(["pause", "unpause"]), NUMBERS),
)


class Tab:
    """One tab, what it heard, and what it asked for."""

    def __init__(self, number: int, origin: FakeOrigin, server: FakeServer, time: float) -> None:
        self.number = number
        self.platform = FakePlatform(number, origin)
        self.platform.time = time
        self.tabs = TabSync(platform=self.platform)
        self.connection = SharedConnection(
            "./ws", tabs=self.tabs, platform=self.platform, max_reconnect_attempts=None
        )
        self.heard: list[int] = []
        self.resets = 0
        self.connection.on("note", self.heard.append)
        self.connection.on("reset", self._reset)
        self.start: int | None = None
        self.connection.on("connected", lambda _: self._connected(server))
        self.asked: list[tuple[int, int]] = []
        self.answers: list[asyncio.Future[object]] = []
        self.state = "here"
        self.task = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self.connection.connect()

    def _connected(self, server: FakeServer) -> None:
        if self.start is None:
            self.start = len(server.log)

    def _reset(self, _: object) -> None:
        self.resets += 1

    def ask(self) -> None:
        question = (self.number, len(self.asked))
        self.asked.append(question)
        request = self.connection.request("ask", list(question), timeout=10_000)
        self.answers.append(asyncio.ensure_future(request))


class World:
    """A browser, its tabs and the server."""

    def __init__(self) -> None:
        self.origin = FakeOrigin()
        self.server = FakeServer()
        self.tabs: list[Tab] = []
        self.time = 1000.0

    def living(self) -> list[Tab]:
        return [tab for tab in self.tabs if tab.state not in ("dead", "closed")]

    async def go_on(self, rounds: int = 1, *, seconds: float = 0.5) -> None:
        for _ in range(rounds):
            await settle()
            awake = [tab for tab in self.living() if tab.state != "frozen"]
            self.server.tick([tab.platform for tab in awake])
            await settle()
            self.time += seconds
            for tab in awake:
                tab.platform.advance(self.time - tab.platform.time)

    def tick(self) -> None:
        awake = [tab.platform for tab in self.living() if tab.state != "frozen"]
        self.server.tick(awake)

    async def do(self, step: tuple[str, int]) -> None:
        verb, number = step
        tab = self.tabs[number % len(self.tabs)] if self.tabs else None
        state = tab.state if tab is not None else ""
        match verb:
            case "publish":
                self.server.publish(number)
            case "go on":
                await self.go_on(number)
            case "tick":
                self.tick()
            case "cut":
                self.server.cut([tab.platform for tab in self.living()], number)
            case "open" if len(self.living()) < MOST_TABS:
                self.tabs.append(Tab(len(self.tabs), self.origin, self.server, self.time))
            case "kill" if tab is not None and state != "closed":
                tab.state = "dead"
                self.origin.frozen.discard(tab.platform)
                self.origin.lagging.pop(tab.platform, None)
                self.origin.kill(tab.platform)
            case "close" if tab is not None and state == "here":
                tab.state = "closed"
                tab.connection.close()
                tab.tabs.close()
            case "freeze" if tab is not None and state == "here":
                tab.state = "frozen"
                self.origin.freeze(tab.platform)
            case "thaw" if tab is not None and state == "frozen":
                tab.state = "here"
                self.origin.thaw(tab.platform)
            case "leave" if tab is not None and state == "here":
                tab.state = "left"
                tab.platform.fire("left", True)
            case "return" if tab is not None and state == "left":
                tab.state = "here"
                tab.platform.fire("returned")
            case "lag" if tab is not None and state == "here":
                self.origin.lag(tab.platform)
            case "hear" if tab is not None:
                self.origin.catch_up(tab.platform)
            case "pause" if tab is not None and state == "here":
                tab.connection.pause()
            case "unpause" if tab is not None and state == "here":
                tab.connection.unpause()
            case "ask" if tab is not None and state == "here":
                tab.ask()

    async def come_to_rest(self) -> None:
        for tab in self.living():
            for verb in ("hear", "thaw", "return", "unpause"):
                await self.do((verb, self.tabs.index(tab)))
        await self.go_on(150)
        self.server.publish(1)
        await self.go_on(20)


async def run(steps: list[tuple[str, int]]) -> None:
    world = World()
    for _ in range(3):
        await world.do(("open", 0))
    await world.go_on(3)
    for step in steps:
        await world.do(step)
    await world.come_to_rest()
    survivors = world.living()
    for tab in survivors:
        heard = tab.heard
        assert tab.resets == 0
        assert heard == list(range(heard[0], heard[0] + len(heard))), f"tab {tab.number}"
        assert tab.start is not None
        assert heard[0] <= tab.start + 1
        assert heard[-1] == len(world.server.log)
        assert [answer.result() for answer in tab.answers] == [list(q) for q in tab.asked]
        applied = [asked for asked in world.server.order if asked[0] == tab.number]
        assert applied == [list(question) for question in tab.asked]
    if survivors:
        sockets = world.server.sockets([tab.platform for tab in survivors])
        assert len(sockets) == 1
        assert len({tab.tabs.leader for tab in survivors}) == 1
        assert sum(tab.tabs.is_leader for tab in survivors) == 1
    assert [error for tab in survivors for error in tab.platform.reported] == []
    for tab in survivors:
        tab.connection.close()
        tab.tabs.close()
    await world.go_on(3)
    assert [tab.platform.timers for tab in survivors] == [0] * len(survivors)
    assert [tab.platform.watchers for tab in survivors] == [0] * len(survivors)
    assert world.origin.channels == []
    assert world.origin.holders() == []
    for tab in world.tabs:
        for task in (tab.task, *tab.answers):
            task.cancel()
    await settle()


@settings(
    max_examples=int(os.environ.get("TAB_RUNS", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_nothing_is_lost_and_nothing_comes_twice(steps):
    asyncio.run(run(steps))
