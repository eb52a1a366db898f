from __future__ import annotations

import pytest

from services.errors import ConfigurationError
from services.shared_events import SharedEvents
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, FakeStream, settle

pytestmark = pytest.mark.anyio


class Member:
    def __init__(self, platform: FakePlatform, **settings) -> None:
        self.platform = platform
        self.tabs = TabSync(platform=platform)
        self.events = SharedEvents("./api/events", tabs=self.tabs, platform=platform, **settings)
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

    async def open(self, **settings) -> Member:
        member = Member(FakePlatform(len(self.members), self.origin), **settings)
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


CHANNEL = "app-sync"
TOPIC = "events:https://page.example/app/api/events"


def posted(browser: Browser, payload: object, tab_id: str = "tab-other") -> None:
    message = {"schema": 1, "type": TOPIC, "payload": payload, "timestamp": 1, "tabId": tab_id}
    browser.origin.post(CHANNEL, message)


@pytest.mark.parametrize(
    "payload",
    [
        {"kind": "live", "relay": 1, "items": [{"event": "note", "data": "99", "id": "99"}]},
        {"kind": "opened", "link": 1, "relay": 1, "position": "99"},
        {"kind": "closed", "link": 1, "code": 403, "reason": "go away"},
    ],
    ids=lambda payload: payload["kind"],
)
async def test_news_from_a_tab_that_does_not_lead_change_nothing(browser, payload):
    members = await three(browser)
    posted(browser, payload, members[1].tabs.tab_id)
    posted(browser, payload)
    await browser.settle()
    browser.stream.deliver("note", "11", "11")
    await browser.settle()
    assert [member.heard for member in members] == [[11]] * 3
    assert [member.told for member in members] == [["connected"]] * 3


@pytest.mark.parametrize("payload", [None, [], {}, {"kind": "live", "relay": 1, "items": [7]}])
async def test_junk_is_told_as_an_error_of_the_tabs(browser, payload):
    members = await three(browser)
    errors = []
    for member in members:
        member.tabs.on("error", lambda payload, _: errors.append(payload["error"]))
    posted(browser, payload)
    await browser.settle()
    assert len(errors) == 3
    assert [member.events.is_connected for member in members] == [True] * 3


async def test_what_is_no_event_is_left_out(browser):
    members = await three(browser)
    items = [{"id": "11"}, {"event": 1, "data": "x", "id": None}, {"event": "note", "id": "12"}]
    relay = members[0].events._link.relay._number
    posted(browser, {"kind": "live", "relay": relay, "items": items}, members[0].tabs.tab_id)
    await browser.settle()
    assert [member.heard for member in members] == [[]] * 3
    assert [member.platform.reported for member in members] == [[]] * 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"url": 7}, "url"),
        ({"url": lambda: "./e"}, "name"),
        ({"token": "two words"}, "token"),
        ({"stall_timeout": -1}, "stall_timeout"),
        ({"reconnect_interval": -1}, "reconnect_interval"),
    ],
)
async def test_a_wrong_option_is_told_in_every_tab(browser, options, error):
    await browser.open()
    platform = FakePlatform(1, browser.origin)
    tabs = TabSync(platform=platform)
    await settle()
    with pytest.raises(ConfigurationError, match=error):
        SharedEvents(**{"url": "./e", "tabs": tabs, "platform": platform, **options})
    assert platform.watchers == 1  # that of the tabs


async def test_the_token_is_asked_for_by_the_leader_and_never_crosses(browser):
    asked = []

    def token() -> str:
        asked.append(1)
        return f"secret-{len(asked)}"

    members = [await browser.open(token=token) for _ in range(3)]
    browser.stream.accept("10")
    await browser.settle()
    assert browser.stream.token == "secret-1"
    for member in members[1:]:
        member.events.renew()  # theirs is not the stream
    await browser.settle()
    assert len(asked) == 1
    members[0].events.renew()
    await browser.settle()
    assert (browser.stream.token, browser.stream.last_event_id) == ("secret-2", "10")
    assert "secret" not in repr(browser.origin.posted)


async def test_a_tab_that_joins_while_the_stream_is_being_opened_moves_no_position(browser):
    members = await three(browser)
    members[1].platform.fire("left", True)
    await browser.settle()
    browser.origin.kill(members[0].platform)
    browser.origin.kill(members[2].platform)
    fresh = await browser.open()
    stream = browser.stream
    assert stream.last_event_id == ""
    members[1].platform.fire("returned")
    await browser.settle()
    stream.accept("20")
    await browser.settle()
    own = next(other for other in browser.streams if other is not stream)
    assert own.last_event_id == "10"
    own.accept()
    for n in range(11, 21):
        own.deliver("note", str(n), str(n))
    own.listener.positioned("20")
    await browser.settle()
    browser.stream.deliver("note", "21", "21")
    await browser.settle()
    assert members[1].heard == list(range(11, 22))
    assert fresh.heard == [21]


async def test_without_channels_each_tab_has_a_stream_of_its_own(browser):
    for _ in range(2):
        platform = FakePlatform(origin=browser.origin)
        platform.can_share = False
        browser.members.append(Member(platform))
        browser.members[-1].events.connect()
    await browser.settle()
    for number, member in enumerate(browser.members):
        member.platform.stream.accept()
        member.platform.stream.deliver("note", str(number))
    assert [member.heard for member in browser.members] == [[0], [1]]
    assert browser.origin.posted == []
