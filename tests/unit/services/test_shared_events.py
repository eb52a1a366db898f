from __future__ import annotations

import pytest

from services.shared_events import SharedEvents
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, FakeStream, settle

pytestmark = pytest.mark.anyio


class Member:
    def __init__(self, platform: FakePlatform) -> None:
        self.platform = platform
        self.tabs = TabSync(platform=platform)
        self.events = SharedEvents("./api/events", tabs=self.tabs, platform=platform)
        self.heard: list[object] = []
        self.told: list[str] = []
        self.events.on("note", self.heard.append)
        for event in ("connected", "disconnected", "reset"):
            self.events.on(event, lambda _, event=event: self.told.append(event))


class Browser:
    """Tabs of one browser, all on one clock."""

    def __init__(self) -> None:
        self.origin = FakeOrigin()
        self.members: list[Member] = []

    async def open(self) -> Member:
        member = Member(FakePlatform(len(self.members), self.origin))
        self.members.append(member)
        await settle()
        member.events.connect()
        await self.settle()
        return member

    async def settle(self, seconds: float = 0.05) -> None:
        for _ in range(5):
            await settle()
        for member in self.members:
            if member.platform not in self.origin.dead:
                member.platform.advance(seconds)
        for _ in range(5):
            await settle()

    @property
    def streams(self) -> list[FakeStream]:
        return [
            stream
            for member in self.members
            if member.platform not in self.origin.dead
            for stream in member.platform.streams
            if not stream.gone
        ]

    @property
    def stream(self) -> FakeStream:
        (stream,) = self.streams
        return stream


@pytest.fixture
def browser():
    return Browser()


async def three(browser: Browser) -> list[Member]:
    members = [await browser.open() for _ in range(3)]
    browser.stream.accept("10")
    await browser.settle()
    return members


async def test_all_are_told_each_event_over_one_stream(browser):
    members = await three(browser)
    assert [member.events.is_connected for member in members] == [True] * 3
    assert [member.events.last_event_id for member in members] == ["10"] * 3
    for n, data in enumerate(["{}", "7", '"5"', "text", "[1]"], start=11):
        browser.stream.deliver("note", data, str(n))
    await browser.settle()
    assert [member.heard for member in members] == [[{}, 7, "5", "text", [1]]] * 3


async def test_when_the_leader_dies_another_goes_on_after_the_last_event(browser):
    members = await three(browser)
    browser.stream.deliver("note", "11", "11")
    await browser.settle()
    browser.origin.kill(members[0].platform)
    await browser.settle()
    assert browser.stream.last_event_id == "11"
    browser.stream.accept()
    browser.stream.deliver("note", "12", "12")
    await browser.settle()
    assert [member.heard for member in members[1:]] == [[11, 12]] * 2


async def test_a_tab_that_comes_late_is_told_what_came_after_its_position(browser):
    members = await three(browser)
    members[1].platform.fire("left", True)
    await browser.settle()
    for n in range(11, 21):
        browser.stream.deliver("note", str(n), str(n))
    members[1].platform.fire("returned")
    await browser.settle()
    browser.stream.deliver("note", "21", "21")
    await browser.settle()
    assert members[1].heard == list(range(11, 22))


async def test_a_tab_that_was_away_for_long_is_told_by_the_server(browser):
    members = await three(browser)
    members[1].platform.fire("left", True)
    await browser.settle()
    for n in range(11, 2011):
        browser.stream.deliver("note", str(n), str(n))
    await browser.settle()
    members[1].platform.fire("returned")
    await browser.settle()
    shared, own = browser.streams
    assert own.last_event_id == "10"
    own.accept()
    for n in range(11, 2012):
        own.deliver("note", str(n), str(n))
    shared.deliver("note", "2011", "2011")
    shared.deliver("note", "2012", "2012")
    own.listener.positioned("2011")
    await browser.settle()
    assert own.gone
    shared.deliver("note", "2013", "2013")
    await browser.settle()
    assert members[1].heard == list(range(11, 2014))
    assert members[0].heard == list(range(11, 2014))


async def test_a_refusal_ends_it_for_all(browser):
    members = [await browser.open() for _ in range(2)]
    browser.stream.drop(403, "Forbidden")
    await browser.settle()
    assert [member.events.state for member in members] == ["ended"] * 2
    assert browser.streams == []


async def test_a_reloaded_tab_that_is_alone_goes_on_where_it_was(browser):
    (first,) = [await browser.open()]
    browser.stream.accept("10")
    browser.stream.deliver("note", "11", "11")
    await browser.settle()
    storage = first.platform.storage
    browser.origin.kill(first.platform)
    second = Member(FakePlatform(9, browser.origin))
    second.platform.storage.update(storage)
    browser.members.append(second)
    await settle()
    second.events.connect()
    await browser.settle()
    assert browser.stream.last_event_id == "11"
