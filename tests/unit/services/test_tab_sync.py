from __future__ import annotations

import pytest

from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, settle

pytestmark = pytest.mark.anyio


class Group:
    """Tabs of one browser."""

    def __init__(self) -> None:
        self.origin = FakeOrigin()
        self.platforms: list[FakePlatform] = []
        self.tabs: list[TabSync] = []

    async def open(self, title: str = "Page") -> TabSync:
        platform = FakePlatform(len(self.tabs), self.origin)
        platform.time += len(self.tabs)
        platform.title = title
        self.platforms.append(platform)
        self.tabs.append(TabSync(platform=platform))
        await settle()
        return self.tabs[-1]


@pytest.fixture
def group():
    return Group()


async def test_a_message_reaches_all_others_and_not_its_sender(group):
    tabs = [await group.open() for _ in range(3)]
    heard = []
    for number, tab in enumerate(tabs):
        tab.on("note", lambda payload, tab_id, n=number: heard.append((n, payload, tab_id)))
    tabs[0].broadcast("note", {"text": "hello"})
    await settle()
    assert heard == [(n, {"text": "hello"}, tabs[0].tab_id) for n in (1, 2)]


async def test_all_know_one_another_and_who_leads(group):
    tabs = [await group.open(f"Page {n}") for n in range(5)]
    for tab in tabs:
        assert [other.id for other in tab.tabs] == [each.tab_id for each in tabs]
        assert [other.title for other in tab.tabs] == [f"Page {n}" for n in range(5)]
        assert [other.leader for other in tab.tabs] == [True, False, False, False, False]
        assert [other.is_self for other in tab.tabs] == [each is tab for each in tabs]
        assert tab.leader == tabs[0].tab_id


async def test_after_a_crash_the_list_is_right_and_another_leads(group):
    tabs = [await group.open() for _ in range(3)]
    led = []
    tabs[2].on("leader-changed", lambda payload, tab_id: led.append(payload["leader"]))
    group.origin.kill(group.platforms[0])
    await settle()
    assert tabs[1].is_leader
    assert led[-1] == tabs[1].tab_id
    assert [tab.id for tab in tabs[2].tabs] == [tabs[1].tab_id, tabs[2].tab_id]


async def test_a_frozen_leader_is_deposed_and_accepts_it(group):
    tabs = [await group.open() for _ in range(3)]
    group.origin.freeze(group.platforms[0])
    tabs[1].depose(tabs[0].tab_id)
    tabs[2].depose(tabs[0].tab_id)
    for _ in range(3):
        await settle()
    assert [tab.is_leader for tab in tabs[1:]].count(True) == 1
    leader = next(tab for tab in tabs[1:] if tab.is_leader)
    group.origin.thaw(group.platforms[0])
    for platform in group.platforms:
        platform.advance(1)
    for _ in range(3):
        await settle()
    assert [tab for tab in tabs if tab.is_leader] == [leader]
    assert {tab.leader for tab in tabs} == {leader.tab_id}


async def test_shared_values_reach_late_comers(group):
    first = await group.open()
    first.shared("theme", "light").value = "dark"
    second = await group.open()
    assert second.shared("theme", "light").value == "dark"
