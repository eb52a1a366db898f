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


async def test_one_tab_can_be_told_alone(group):
    tabs = [await group.open() for _ in range(3)]
    heard = []
    for number, tab in enumerate(tabs):
        tab.on("note", lambda payload, tab_id, n=number: heard.append(n))
    tabs[0].send(tabs[2].tab_id, "note", {})
    await settle()
    assert heard == [2]


async def test_coming_and_going_is_told_with_the_tab(group):
    first = await group.open()
    told = []
    for event in ("tab-connected", "tab-disconnected"):
        first.on(event, lambda payload, tab_id, event=event: told.append((event, payload, tab_id)))
    second = await group.open()
    second.close()
    await settle()
    payload = {"tabId": second.tab_id}
    assert told == [
        ("tab-connected", payload, second.tab_id),
        ("tab-disconnected", payload, second.tab_id),
    ]


async def test_a_page_that_is_left_is_gone_and_comes_back_as_itself(group):
    tabs = [await group.open() for _ in range(3)]
    group.platforms[0].fire("left", True)
    await settle()
    assert [tab.id for tab in tabs[1].tabs] == [tabs[1].tab_id, tabs[2].tab_id]
    assert tabs[1].is_leader
    assert not tabs[0].is_leader
    tabs[0].broadcast("note", "nobody hears this")
    tabs[0].shared("theme").value = "dark"
    group.platforms[0].fire("returned")
    await settle()
    await settle()
    ids = [tab.tab_id for tab in tabs]
    assert [[each.id for each in tab.tabs] for tab in tabs] == [ids] * 3
    assert {tab.leader for tab in tabs} == {tabs[1].tab_id}
    assert [tab.shared("theme").value for tab in tabs] == ["dark"] * 3


async def test_titles_and_visibility_are_followed(group):
    tabs = [await group.open() for _ in range(2)]
    changes = []
    tabs[1].on("tabs-changed", lambda payload, tab_id: changes.append(payload))
    group.platforms[0].rename("Another title")
    await settle()
    assert tabs[1].tabs[0].title == "Another title"
    group.platforms[0].fire("hidden")
    await settle()
    assert [tab.visible for tab in tabs[1].tabs] == [False, True]
    assert len(changes) == 2


HOSTILE = [
    ...,
    None,
    7,
    "text",
    [],
    {},
    {"type": "auth-logout", "payload": {}, "timestamp": 0, "tabId": "old"},
    {"schema": 2, "type": "note", "payload": {}, "timestamp": 0, "tabId": "newer"},
    {"schema": 1, "type": "tab-connected", "payload": None, "timestamp": 0, "tabId": "ghost"},
    {"schema": 1, "type": "tab-shared", "payload": {"a": 1}, "timestamp": 0, "tabId": "ghost"},
    {"schema": 1, "type": "leader-changed", "payload": {}, "timestamp": 0, "tabId": "ghost"},
    {"schema": 1, "type": "error", "payload": {}, "timestamp": 0, "tabId": "ghost"},
    {"schema": 1, "type": "*", "payload": {}, "timestamp": 0, "tabId": "ghost"},
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:40])
async def test_what_is_wrong_is_told_and_changes_nothing(group, value):
    tabs = [await group.open() for _ in range(2)]
    before = [tab.tabs for tab in tabs]
    errors = []
    tabs[1].on("error", lambda payload, tab_id: errors.append(payload["error"]))
    group.origin.post("app-sync", value)
    await settle()
    assert [tab.tabs for tab in tabs] == before
    assert len(errors) == 1
    assert "expected" in errors[0]
    assert [platform.reported for platform in group.platforms] == [[], []]


async def test_a_tab_that_is_only_said_to_be_there_is_not(group):
    tab = await group.open()
    for n in range(500):
        introduction = {"title": "Ghost", "since": 1, "visible": True, "shared": {}}
        for type_ in ("tab-connected", "tab-hint"):
            group.origin.post(
                "app-sync",
                {
                    "schema": 1,
                    "type": type_,
                    "payload": introduction,
                    "timestamp": 0,
                    "tabId": f"ghost-{n}",
                },
            )
    await settle()
    for _ in range(50):
        await settle()
    assert [each.id for each in tab.tabs] == [tab.tab_id]
    assert tab.leader == tab.tab_id
    assert len(tab._introductions) <= 101


@pytest.mark.parametrize("type_", ["", 7, None, "x" * 201, "tab-connected", "error", "*"])
async def test_types_that_are_none_or_come_from_here_alone_are_refused(group, type_):
    tab = await group.open()
    with pytest.raises(ValueError, match="type: expected"):
        tab.broadcast(type_, {})


async def test_a_payload_that_cannot_be_cloned_is_a_type_error(group):
    tab = await group.open()
    with pytest.raises(TypeError, match="expected a payload that can be JSON, came a value of"):
        tab.broadcast("note", object())


async def test_without_locks_each_tab_is_its_own_leader_and_still_talks(group):
    platform = FakePlatform(0, group.origin)
    platform.can_share = False
    tab = TabSync(platform=platform)
    await settle()
    assert tab.is_leader
    assert [each.id for each in tab.tabs] == [tab.tab_id]
    tab.broadcast("note", {})
    tab.close()
    assert not tab.is_leader


async def test_nothing_is_left_after_close(group):
    tabs = [await group.open() for _ in range(4)]
    for tab in tabs:
        tab.close()
        tab.close()
    await settle()
    assert group.origin.channels == []
    assert group.origin.holders() == []
    assert [(p.timers, p.watchers) for p in group.platforms] == [(0, 0)] * 4
    assert [tab.is_leader for tab in tabs] == [False] * 4
