"""Shared connections under any order of what tabs, a browser, a server and an application may do.

Nothing is lost, nothing told twice, the order is kept, and in the end there is one connection.
`FAULT_RUNS` tries so many times as many examples.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import RealtimeError
from services.shared_connection import SharedConnection
from services.shared_events import SharedEvents
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform
from tests.support.fake_server import EVENT, FakeServer

EXAMPLES = 40 * int(os.environ.get("FAULT_RUNS", "") or 1)
MOST_TABS = 5
LONG = 1100
"""More events than a tab keeps for the others."""

TICK = 0.25
RESET = "reset"

TAB_STEPS = [
    "kill",
    "close",
    "freeze",
    "thaw",
    "leave",
    "come back",
    "disconnect",
    "connect",
    "pause",
    "unpause",
]
WORLD_STEPS = ["publish", "flood", "cut", "refuse", "trim", "open", "step", "advance", "wait"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*TAB_STEPS, *WORLD_STEPS, "ask", "ask", "publish", "step", "advance"]),
        st.integers(0, MOST_TABS - 1),
        st.integers(0, 12),
    ),
    min_size=8,
    max_size=40,
)
CODES = [1006, 1012]


class Member:
    """A tab with its connection, and all that happened to it."""

    def __init__(self, world: World, platform: FakePlatform) -> None:
        self.world = world
        self.platform = platform
        self.tabs = TabSync(platform=platform)
        self.heard: list[int | str] = []
        self.began_at: int | None = None
        self.errors: list[object] = []
        self.wants = True
        self.is_paused = False
        self.is_away = False
        self.is_over = False
        """Closed or killed."""
        self.tabs.on("error", lambda payload, _: self.errors.append(payload))
        self.client = world.make(self)
        self.client.on(EVENT, self.heard.append)
        self.client.on("reset", lambda _: self.heard.append(RESET))

    @property
    def is_frozen(self) -> bool:
        return self.platform in self.platform.origin.frozen

    @property
    def is_awake(self) -> bool:
        return not (self.is_over or self.is_frozen or self.is_away)

    def look(self) -> None:
        """Take note of the position at which it begins: only now can it miss anything."""
        position = self.world.position(self)
        if self.began_at is None and position:
            self.began_at = int(position)


class World:
    """Tabs of one browser, their server, and one clock for all."""

    def __init__(self, seed: int, *, with_token: bool) -> None:
        self.origin = FakeOrigin()
        self.server = FakeServer()
        self.members: list[Member] = []
        self.time = 1000.0
        self.seed = seed
        self.token = (lambda: "t") if with_token else None
        self.may_refuse = with_token

    def make(self, member: Member):
        raise NotImplementedError

    def connections(self, platform: FakePlatform) -> int:
        raise NotImplementedError

    def position(self, member: Member) -> str | None:
        raise NotImplementedError

    def start(self, member: Member) -> None:
        raise NotImplementedError

    def open(self) -> Member:
        platform = FakePlatform(self.seed + len(self.members), self.origin)
        platform.time = self.time
        self.server.attend(platform)
        member = Member(self, platform)
        self.members.append(member)
        self.start(member)
        return member

    @property
    def alive(self) -> list[Member]:
        return [member for member in self.members if not member.is_over]

    async def turn(self, rounds: int = 4) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
            for member in self.members:
                member.look()

    async def advance(self, seconds: float, *, most: int = 1_000_000) -> None:
        until = self.time + seconds
        while self.time < until:
            self.time = min(self.time + TICK, until)
            for member in self.members:
                if member.is_awake:
                    member.platform.advance(self.time - member.platform.time)
            await self.turn()
            self.server.step(most)
            await self.turn()

    def wake(self, member: Member) -> None:
        """Let the clock of a tab that was away catch up, all at once."""
        member.platform.sleep(self.time - member.platform.time)

    async def act(self, step: str, place: int, amount: int) -> None:
        alive = self.alive
        if step in WORLD_STEPS:
            await self.act_on_world(step, amount)
        elif alive:
            self.act_on_tab(step, alive[place % len(alive)])
            await self.turn(step == "ask")  # a request begins when its task does
        await self.turn(amount)

    async def act_on_world(self, step: str, amount: int) -> None:
        match step:
            case "publish":
                self.server.publish(amount)
            case "flood":
                self.server.publish(LONG)
            case "cut":
                self.server.cut(CODES[amount % 2])
            case "refuse" if self.may_refuse:
                self.may_refuse = False  # a second one in a row would rightly end it
                self.server.refusals = 1
                self.server.cut()
            case "trim":
                self.server.trim()
            case "open" if len(self.members) < MOST_TABS:
                self.open()
            case "step":
                self.server.step(1 + amount)
            case "advance":
                await self.advance(amount * 0.1, most=1 + amount)
            case "wait":
                await self.advance(amount)

    def act_on_tab(self, step: str, member: Member) -> None:
        platform = member.platform
        if member.is_away:
            if step == "come back":
                member.is_away = False
                self.origin.thaw(platform)
                self.wake(member)
                platform.fire("returned")
            return
        if member.is_frozen:
            if step == "thaw":
                self.origin.thaw(platform)
                self.wake(member)
            elif step == "kill":
                self.kill(member)
            return
        match step:
            case "kill":
                self.kill(member)
            case "close":
                self.ends(member)
                member.client.close()
                member.tabs.close()
                member.is_over = True
            case "freeze":
                self.origin.freeze(platform)
            case "leave":
                platform.fire("left", True)
                member.is_away = True
                self.origin.freeze(platform)
            case "disconnect":
                self.ends(member)
                member.wants = False
                member.client.disconnect()
            case "connect":
                member.wants = True
                self.start(member)
            case "pause":
                member.is_paused = True
                member.client.pause()
            case "unpause":
                member.is_paused = False
                member.client.unpause()
            case "ask":
                self.ask(member)

    def kill(self, member: Member) -> None:
        self.ends(member)
        member.is_over = True
        self.origin.kill(member.platform)

    def ask(self, member: Member) -> None:
        """Send something; a stream does not."""

    def ends(self, member: Member) -> None:
        """Take note that what a tab has sent may not arrive any more."""

    def check_awake(self) -> None:
        """Check that those who sleep keep nobody from a connection."""
        wanting = [m for m in self.alive if m.is_awake and m.wants and not m.is_paused]
        assert [member.client.is_connected for member in wanting] == [True] * len(wanting)
        there = sum(self.connections(m.platform) for m in self.alive if m.is_awake)
        assert there == 1 if wanting else there <= 1  # one that sleeps may want it

    async def settle(self) -> None:
        await self.advance(20)
        self.check_awake()
        for member in self.alive:
            if member.is_away:
                self.act_on_tab("come back", member)
            if member.is_frozen:
                self.act_on_tab("thaw", member)
            if member.is_paused:
                self.act_on_tab("unpause", member)
        await self.advance(20)
        self.server.publish(3)
        await self.advance(5)

    def check(self) -> None:
        for member in self.members:
            assert member.platform.reported == []
            assert member.errors == []
            check_order(member, self.server)
        wanting = [member for member in self.alive if member.wants]
        assert [member.client.is_connected for member in wanting] == [True] * len(wanting)
        for member in wanting:
            assert member.heard[-3:] == list(range(self.server.last - 2, self.server.last + 1))
        there = sum(self.connections(member.platform) for member in self.alive)
        assert there == bool(wanting)
        assert all(value is None or value == "t" for value in self.server.tokens)
        assert '"auth"' not in repr(self.origin.posted)

    async def close(self) -> None:
        for member in self.alive:
            self.ends(member)
            member.client.close()
            member.tabs.close()
        await self.turn(20)
        for member in self.alive:
            platform = member.platform
            assert (platform.timers, platform.watchers, platform._title_watchers) == (0, 0, [])
            assert self.connections(platform) == 0
            assert platform.reported == []
        assert self.origin.channels == []
        assert not any(self.origin.held.values())
        assert not any(self.origin.queues.values())


def check_order(member: Member, server: FakeServer) -> None:
    """Each event follows the one before it, unless the server could not tell those in between."""
    for before, after in pairwise(member.heard):
        if after is RESET:
            assert server.resets
        elif before is not RESET:
            assert after == before + 1
    numbers = [n for n in member.heard if n is not RESET]
    assert numbers == sorted(set(numbers))
    if member.heard and member.heard[0] is not RESET:
        assert member.began_at is not None
        assert member.heard[0] <= member.began_at + 1


class SocketWorld(World):
    def __init__(self, seed: int, *, with_token: bool) -> None:
        super().__init__(seed, with_token=with_token)
        self.asked: dict[Member, int] = {}
        self.waiting: dict[tuple[int, int], asyncio.Task] = {}
        self.reliable: list[tuple[int, int]] = []
        self.tasks: list[asyncio.Task] = []

    def make(self, member: Member) -> SharedConnection:
        return SharedConnection(
            "./ws",
            tabs=member.tabs,
            platform=member.platform,
            token=self.token,
            reconnect_interval=0.1,
            reconnect_interval_max=0.5,
            max_reconnect_attempts=None,
        )

    def connections(self, platform: FakePlatform) -> int:
        return platform.open_sockets

    def position(self, member: Member) -> str | None:
        return member.client._protocol.session.history.last

    def start(self, member: Member) -> None:
        self.tasks.append(asyncio.create_task(quietly(member.client.connect())))

    def ask(self, member: Member) -> None:
        number = self.asked[member] = self.asked.get(member, 0) + 1
        payload = (self.members.index(member), number)
        if number % 2:
            self.waiting[payload] = asyncio.create_task(
                member.client.request("do", list(payload), timeout=1e6)
            )
            self.tasks.append(self.waiting[payload])
        else:
            self.reliable.append(payload)
            member.client.send("do", list(payload), reliable=True)

    def ends(self, member: Member) -> None:
        place = self.members.index(member)
        for key in [key for key, task in self.waiting.items() if not task.done()]:
            if key[0] == place:
                del self.waiting[key]
        self.reliable = [key for key in self.reliable if key[0] != place]

    def check(self) -> None:
        super().check()
        applied = [tuple(payload) for payload in self.server.applied]
        assert len(applied) == len(set(applied))
        wanted = set(self.reliable) | set(self.waiting)
        for place, member in enumerate(self.members):
            if member.wants:
                ours = sorted(key for key in wanted if key[0] == place)
                assert [key for key in applied if key in wanted and key[0] == place] == ours
        for key, task in self.waiting.items():
            if self.members[key[0]].wants:
                assert task.done()
                assert task.result() == ["did", list(key)]

    async def close(self) -> None:
        await super().close()
        for task in self.tasks:  # those of tabs that died wait for ever
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class StreamWorld(World):
    def make(self, member: Member) -> SharedEvents:
        return SharedEvents(
            "./api/events",
            tabs=member.tabs,
            platform=member.platform,
            token=self.token,
            reconnect_interval=0.1,
            reconnect_interval_max=0.5,
        )

    def connections(self, platform: FakePlatform) -> int:
        return platform.open_streams

    def position(self, member: Member) -> str | None:
        return member.client.last_event_id

    def start(self, member: Member) -> None:
        member.client.connect()


async def quietly(connecting):
    with contextlib.suppress(RealtimeError):
        await connecting


async def run(world: World, tabs: int, steps: list[tuple[str, int, int]]) -> None:
    for _ in range(tabs):
        world.open()
    await world.turn(10)
    for step in steps:
        await world.act(*step)
    await world.settle()
    world.check()
    await world.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(2, MOST_TABS), STEPS, st.booleans(), st.integers(0, 2**32))
def test_shared_connection(tabs, steps, with_token, seed):
    asyncio.run(run(SocketWorld(seed, with_token=with_token), tabs, steps))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(2, MOST_TABS), STEPS, st.booleans(), st.integers(0, 2**32))
def test_shared_events(tabs, steps, with_token, seed):
    asyncio.run(run(StreamWorld(seed, with_token=with_token), tabs, steps))
