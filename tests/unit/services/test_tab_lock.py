from __future__ import annotations

import asyncio

import pytest

from services.tab_lock import SPREAD, TabLock
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, settle

pytestmark = pytest.mark.anyio

PATIENCE = 20


class Tab:
    """A tab that holds the lock until `over` is set."""

    def __init__(self, origin, seed=0, *, can_share=True):
        self.platform = FakePlatform(seed, origin)
        self.platform.can_share = can_share
        self.lock = TabLock(self.platform, "turn", patience=PATIENCE)
        self.begun = 0
        self.over = asyncio.Event()

    async def work(self):
        async with self.lock.held():
            self.begun += 1
            await self.over.wait()


@pytest.fixture
def origin():
    return FakeOrigin()


async def pass_seconds(seconds, *tabs):
    for _ in range(seconds):
        for tab in tabs:
            tab.platform.advance(1)
        await settle()


async def test_one_tab_at_a_time_in_order(origin):
    tabs = [Tab(origin, seed) for seed in range(3)]
    work = []
    for tab in tabs:
        work.append(asyncio.ensure_future(tab.work()))
        await settle()
    for done in range(3):
        assert [tab.begun for tab in tabs] == [1] * (done + 1) + [0] * (2 - done)
        tabs[done].over.set()
        await settle()
    await asyncio.gather(*work)
    assert origin.holders() == []
    assert origin.storage == {}
    assert [tab.platform.timers for tab in tabs] == [0] * 3


@pytest.mark.parametrize("can_share", [True, False])
async def test_one_at_a_time_within_a_tab(origin, can_share):
    tab = Tab(origin, can_share=can_share)
    work = [asyncio.ensure_future(tab.work()) for _ in range(2)]
    await settle()
    assert tab.begun == 1
    tab.over.set()
    await asyncio.gather(*work)
    assert tab.begun == 2


async def test_a_frozen_tab_is_robbed_when_patience_ends(origin):
    frozen, waiting = Tab(origin, 1), Tab(origin, 2)
    held = asyncio.ensure_future(frozen.work())
    await settle()
    origin.freeze(frozen.platform)
    waiting.platform.advance(5)
    work = asyncio.ensure_future(waiting.work())
    await settle()
    await pass_seconds(PATIENCE - 6, waiting)
    assert waiting.begun == 0
    await pass_seconds(int(SPREAD) + 2, waiting)
    assert waiting.begun == 1
    # It thaws: what it holds no longer is not let go a second time, and the mark stays.
    origin.thaw(frozen.platform)
    frozen.over.set()
    await held
    assert origin.holders() == ["turn"]
    assert origin.storage
    waiting.over.set()
    await work
    assert origin.holders() == []
    assert origin.storage == {}


async def test_only_one_of_many_takes_it_away(origin):
    frozen, *others = (Tab(origin, seed) for seed in range(5))
    held = asyncio.ensure_future(frozen.work())
    await settle()
    origin.freeze(frozen.platform)
    work = [asyncio.ensure_future(tab.work()) for tab in others]
    await pass_seconds(PATIENCE + 5, *others)
    assert sum(tab.begun for tab in others) == 1
    for tab in (frozen, *others):
        tab.over.set()
    origin.thaw(frozen.platform)
    await asyncio.gather(held, *work)
    assert [tab.begun for tab in others] == [1] * 4


async def test_a_tab_that_has_it_not_long_keeps_it_however_long_others_waited(origin):
    first, second, third = (Tab(origin, seed) for seed in range(3))
    work = []
    for tab in (first, second, third):
        work.append(asyncio.ensure_future(tab.work()))
        await settle()
    await pass_seconds(PATIENCE - 2, first, second, third)
    first.over.set()
    await settle()
    assert second.begun == 1
    await pass_seconds(PATIENCE - 2, first, second, third)
    assert third.begun == 0
    second.over.set()
    third.over.set()
    await asyncio.gather(*work)


@pytest.mark.parametrize("mark", ["", "junk", "-5", "²", "9" * 5000, "99999999999999"])
async def test_storage_may_hold_anything(origin, mark):
    frozen, waiting = Tab(origin, 1), Tab(origin, 2)
    held = asyncio.ensure_future(frozen.work())
    await settle()
    origin.freeze(frozen.platform)
    origin.storage["turn:since"] = mark
    work = asyncio.ensure_future(waiting.work())
    await settle()
    await pass_seconds(PATIENCE + 2, waiting)
    assert waiting.begun == 1
    frozen.over.set()
    waiting.over.set()
    await asyncio.gather(held, work)


async def test_whoever_gives_up_waiting_leaves_nothing(origin):
    first, second = Tab(origin, 1), Tab(origin, 2)
    held = asyncio.ensure_future(first.work())
    await settle()
    work = asyncio.ensure_future(second.work())
    await settle()
    work.cancel()
    await settle()
    first.over.set()
    await held
    await settle()
    assert origin.holders() == []
    assert second.platform.timers == 0


async def test_it_is_let_go_where_the_work_fails(origin):
    tab = Tab(origin)
    with pytest.raises(ZeroDivisionError):
        async with tab.lock.held():
            1 / 0  # noqa: B018
    assert origin.holders() == []
    assert origin.storage == {}
