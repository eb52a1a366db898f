from __future__ import annotations

import contextlib

import pytest

from services.errors import ConfigurationError, Disconnected
from services.shared_connection import SharedConnection
from services.tab_messages import LARGEST
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, FakeSocket, settle

pytestmark = pytest.mark.anyio


class Member:
    """A tab with its connection, and what its handlers heard."""

    def __init__(self, platform: FakePlatform, **settings) -> None:
        self.platform = platform
        self.tabs = TabSync(platform=platform)
        self.connection = SharedConnection("./ws", tabs=self.tabs, platform=platform, **settings)
        self.heard: list[object] = []
        self.events: list[object] = []
        self.connection.on("note", self.heard.append)
        for event in ("connected", "disconnected", "reset", "reconnect-failed"):
            self.connection.on(event, lambda payload, event=event: self.events.append(event))


class Browser:
    """Tabs of one browser, all on one clock."""

    def __init__(self) -> None:
        self.origin = FakeOrigin()
        self.members: list[Member] = []

    async def open(self, *, connect: bool = True, **settings) -> Member:
        platform = FakePlatform(len(self.members), self.origin)
        if self.members:
            platform.time = self.members[0].platform.time
        member = Member(platform, **settings)
        self.members.append(member)
        await settle()
        if connect:
            member.connection._tasks.spawn(quietly(member.connection))
            await self.settle()
        return member

    async def settle(self) -> None:
        for _ in range(5):
            await settle()
        for member in self.members:
            if member.platform not in self.origin.dead:
                member.platform.advance(0.05)
        for _ in range(5):
            await settle()

    @property
    def sockets(self) -> list[FakeSocket]:
        """The sockets that are open, over all living tabs."""
        return [
            socket
            for member in self.members
            if member.platform not in self.origin.dead
            for socket in member.platform.sockets
            if not socket.gone
        ]

    @property
    def socket(self) -> FakeSocket:
        (socket,) = self.sockets
        return socket


async def quietly(connection):
    with contextlib.suppress(ConnectionError, TimeoutError):
        await connection.connect()


@pytest.fixture
def browser():
    return Browser()


def resumed(socket: FakeSocket, after: str) -> None:
    frame = next(frame for frame in socket.frames if frame["type"] == "resume")
    socket.deliver("ack", {"id": frame["id"], "result": {"after": after}})


async def three(browser: Browser) -> list[Member]:
    members = [await browser.open() for _ in range(3)]
    browser.socket.accept()
    resumed(browser.socket, "10")
    await browser.settle()
    return members


async def test_all_are_told_each_message_over_one_socket(browser):
    members = await three(browser)
    assert [member.connection.is_connected for member in members] == [True] * 3
    for n in range(11, 14):
        browser.socket.deliver("note", n, id=str(n))
    await browser.settle()
    assert [member.heard for member in members] == [[11, 12, 13]] * 3


async def test_a_request_is_answered_to_the_tab_that_asked(browser):
    members = await three(browser)
    answers = [
        member.connection._tasks.spawn(member.connection.request("ask", n))
        for n, member in enumerate(members)
    ]
    await browser.settle()
    asked = [frame for frame in browser.socket.frames if frame["type"] == "ask"]
    assert sorted(frame["payload"] for frame in asked) == [0, 1, 2]
    for frame in asked:
        browser.socket.deliver("ack", {"id": frame["id"], "result": frame["payload"] * 10})
    await browser.settle()
    assert [answer.result() for answer in answers] == [0, 10, 20]


async def test_when_the_leader_dies_another_goes_on_and_nothing_is_lost(browser):
    members = await three(browser)
    browser.socket.deliver("note", 11, id="11")
    await browser.settle()
    waiting = members[2].connection._tasks.spawn(members[2].connection.request("ask", 1))
    await browser.settle()
    browser.origin.kill(members[0].platform)
    await browser.settle()
    socket = browser.socket
    assert socket in members[1].platform.sockets
    socket.accept()
    await browser.settle()
    assert socket.frames[0]["payload"] == {"after": "11"}
    socket.deliver("note", 12, id="12")
    resumed(socket, "12")
    await browser.settle()
    (asked,) = [frame for frame in socket.frames if frame["type"] == "ask"]
    socket.deliver("ack", {"id": asked["id"], "result": "yes"})
    await browser.settle()
    assert waiting.result() == "yes"
    assert [member.heard for member in members[1:]] == [[11, 12]] * 2
    assert members[1].events == ["connected", "disconnected", "connected"]


async def test_a_frozen_leader_is_replaced(browser):
    members = await three(browser)
    browser.origin.freeze(members[0].platform)
    for _ in range(12):
        for member in members[1:]:
            member.platform.advance(1)
        await browser.settle()
    assert not members[0].platform.socket.gone
    (socket,) = [s for s in browser.sockets if s is not members[0].platform.socket]
    socket.accept()
    resumed(socket, "10")
    socket.deliver("note", 11, id="11")
    await browser.settle()
    assert [member.heard for member in members[1:]] == [[11]] * 2
    browser.origin.thaw(members[0].platform)
    await browser.settle()
    await browser.settle()
    assert browser.socket is socket
    assert members[0].heard == [11]


async def test_a_tab_that_was_away_for_long_is_told_by_the_server(browser):
    members = await three(browser)
    members[2].platform.fire("left", True)
    await browser.settle()
    for n in range(11, 2011):
        browser.socket.deliver("note", n, id=str(n))
    await browser.settle()
    members[2].platform.fire("returned")
    await browser.settle()
    own = next(s for s in browser.sockets if len(s.frames) == 0)
    own.accept()
    assert own.frames[0]["payload"] == {"after": "10"}
    browser.sockets[0].deliver("note", 2011, id="2011")
    for n in range(11, 2012):
        own.deliver("note", n, id=str(n))
    resumed(own, "2011")
    await browser.settle()
    assert own.gone
    browser.socket.deliver("note", 2012, id="2012")
    await browser.settle()
    assert members[2].heard == list(range(11, 2013))
    assert members[0].heard == list(range(11, 2013))


async def test_the_socket_is_closed_when_nobody_wants_it(browser):
    members = await three(browser)
    for member in members[:2]:
        member.connection.disconnect()
    await browser.settle()
    assert browser.socket
    members[2].connection.disconnect()
    await browser.settle()
    assert browser.sockets == []


async def test_a_refusal_reaches_all(browser):
    members = [await browser.open() for _ in range(2)]
    waiting = members[1].connection._tasks.spawn(members[1].connection.request("ask", 1))
    browser.socket.accept()
    await browser.settle()
    browser.socket.drop(4401, "no token")
    await browser.settle()
    assert [member.connection.state for member in members] == ["refused"] * 2
    assert isinstance(waiting.exception(), Disconnected)


async def test_the_others_see_how_the_connection_stands(browser):
    members = await three(browser)
    browser.socket.drop(1006)
    await browser.settle()
    assert {member.connection.state for member in members} == {"waiting"}
    assert {member.connection.last_close for member in members} == {(1006, "")}


async def test_a_tab_that_was_away_for_a_while_is_told_by_the_leader(browser):
    members = await three(browser)
    browser.socket.deliver("note", 11, id="11")
    await browser.settle()
    members[2].platform.fire("left", True)
    await browser.settle()
    for n in range(12, 20):
        browser.socket.deliver("note", n, id=str(n))
    await browser.settle()
    members[2].platform.fire("returned")
    await browser.settle()
    browser.socket.deliver("note", 20, id="20")
    await browser.settle()
    assert members[2].heard == list(range(11, 21))


async def test_nothing_is_missed_between_being_connected_and_being_live(browser):
    members = await three(browser)
    late = Member(FakePlatform(9, browser.origin))
    browser.members.append(late)
    late.platform.time = members[0].platform.time
    late.connection.on("connected", lambda _: browser.sockets[0].deliver("note", 11, id="11"))
    await settle()
    late.connection._tasks.spawn(quietly(late.connection))
    await browser.settle()
    await browser.settle()
    assert late.heard == [11]


async def test_a_connection_that_nobody_wants_any_more_is_not_begun(browser):
    (member,) = [await browser.open(connect=False)]
    task = member.connection._tasks.spawn(quietly(member.connection))
    await settle()
    member.connection.disconnect()
    await browser.settle()
    assert task.done()
    assert browser.sockets == []


async def test_a_connection_that_comes_back_for_nobody_is_closed(browser):
    members = await three(browser)
    browser.socket.drop(1006)
    for member in members:
        member.connection.disconnect()
    for _ in range(60):
        await browser.settle()
    for socket in browser.sockets:
        socket.accept()
    await browser.settle()
    assert browser.sockets == []


CHANNEL = "app-sync"
TOPIC = "websocket:wss://page.example/app/ws"

FORGED = [
    {
        "kind": "live",
        "relay": 1,
        "items": [{"type": "note", "payload": 99, "timestamp": 1, "id": "99"}],
    },
    {"kind": "down", "link": 1, "items": [{"type": "reset", "payload": {}, "id": None}]}
    | {"live": True},
    {"kind": "opened", "link": 1, "relay": 1, "position": ""},
    {"kind": "closed", "link": 1, "code": 4400, "reason": "go away"},
    {"kind": "taken", "link": 1, "amount": 10**9},
    {"kind": "status", "state": "refused", "attempts": 9, "close_code": 4400}
    | {"close_reason": "", "round_trip": None},
]


def posted(browser: Browser, payload: object, tab_id: str = "tab-other") -> None:
    message = {"schema": 1, "type": TOPIC, "payload": payload, "timestamp": 1, "tabId": tab_id}
    browser.origin.post(CHANNEL, message)


@pytest.mark.parametrize("payload", FORGED, ids=lambda payload: payload["kind"])
async def test_news_from_a_tab_that_does_not_lead_change_nothing(browser, payload):
    members = await three(browser)
    errors = []
    for member in members:
        member.tabs.on("error", lambda payload, _: errors.append(payload))
    posted(browser, payload, members[1].tabs.tab_id)
    posted(browser, payload)
    await browser.settle()
    assert [member.connection.state for member in members] == ["open"] * 3
    assert [member.events for member in members] == [["connected"]] * 3
    browser.socket.deliver("note", 11, id="11")
    await browser.settle()
    assert [member.heard for member in members] == [[11]] * 3
    assert errors == []


@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        [],
        {},
        {"kind": "no"},
        {"kind": "live"},
        {"kind": "live", "relay": 1, "items": [{}]},
        {"kind": "up", "link": 1, "frames": "x"},
        {"kind": "join", "link": -1, "after": None},
    ],
)
async def test_junk_is_told_as_an_error_of_the_tabs(browser, payload):
    members = await three(browser)
    errors = []
    for member in members:
        member.tabs.on("error", lambda payload, _: errors.append(payload["error"]))
    posted(browser, payload, members[0].tabs.tab_id)
    await browser.settle()
    assert len(errors) == 2  # the one it claims to come from hears nothing of itself
    assert all("expected" in error for error in errors)
    assert [member.connection.state for member in members] == ["open"] * 3
    assert [member.platform.reported for member in members] == [[]] * 3


async def test_frames_of_a_link_that_is_not_known_are_not_passed_on(browser):
    await three(browser)
    before = list(browser.socket.sent)
    posted(browser, {"kind": "up", "link": 1, "frames": ['{"type":"do"}']})
    await browser.settle()
    assert browser.socket.sent == before


async def test_a_message_too_large_to_cross_reaches_the_leader_and_is_told(browser):
    members = await three(browser)
    errors = []
    members[0].tabs.on("error", lambda payload, _: errors.append(payload["error"]))
    members[0].connection.on("large", lambda payload: members[0].heard.append("large"))
    browser.socket.deliver_raw(
        '{"type":"note","payload":11,"timestamp":1,"id":"11"}',
        f'{{"type":"large","payload":"{"x" * LARGEST}","timestamp":1,"id":"12"}}',
        '{"type":"note","payload":13,"timestamp":1,"id":"13"}',
    )
    await browser.settle()
    assert members[0].heard == [11, "large", 13]
    assert [member.heard for member in members[1:]] == [[11, 13]] * 2
    assert len(errors) == 1


async def test_a_tab_is_held_back_while_the_socket_is_full(browser):
    members = [await browser.open(high_water=1000) for _ in range(2)]
    browser.socket.accept()
    resumed(browser.socket, "10")
    await browser.settle()
    browser.socket.buffered = 2000
    sender = members[1].connection
    for n in range(100):
        sender.send("do", [n, "x" * 100])
    await browser.settle()
    draining = sender._tasks.spawn(sender.drain())
    await browser.settle()
    assert not draining.done()
    assert sum(kind == "do" for kind in browser.socket.types) < 20
    browser.socket.buffered = 0
    for _ in range(60):
        await browser.settle()
    assert draining.done()
    done = [frame["payload"][0] for frame in browser.socket.frames if frame["type"] == "do"]
    assert done == list(range(100))


async def test_without_channels_each_tab_has_a_connection_of_its_own(browser):
    members = []
    for _ in range(2):
        platform = FakePlatform(origin=browser.origin)
        platform.can_share = False
        members.append(Member(platform))
        browser.members.append(members[-1])
        members[-1].connection._tasks.spawn(quietly(members[-1].connection))
    await browser.settle()
    for number, member in enumerate(members):
        member.platform.socket.accept()
        member.platform.socket.deliver("note", number)
    await browser.settle()
    assert [member.heard for member in members] == [[0], [1]]
    for member in members:
        member.connection.renew()
    await browser.settle()
    assert [len(member.platform.sockets) for member in members] == [2, 2]
    assert browser.origin.posted == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"url": 7}, "url"),
        ({"url": 7, "name": "a"}, "url"),
        ({"url": lambda: "./ws"}, "name"),
        ({"url": "mailto:x"}, "url"),
        ({"token": 7}, "token"),
        ({"token": "two words"}, "token"),
        ({"reconnect_interval": -1}, "reconnect_interval"),
        ({"high_water": 0}, "high_water"),
        ({"queue_limit": -1}, "queue_limit"),
        ({"heartbeat_timeout": "soon"}, "heartbeat_timeout"),
    ],
)
async def test_a_wrong_option_is_told_in_every_tab(browser, options, error):
    await browser.open(connect=False)
    platform = FakePlatform(1, browser.origin)
    tabs = TabSync(platform=platform)
    await settle()
    assert not tabs.is_leader
    with pytest.raises(ConfigurationError, match=error):
        SharedConnection(**{"url": "./ws", "tabs": tabs, "platform": platform, **options})
    assert platform.watchers == 1  # that of the tabs


async def test_the_token_is_asked_for_by_the_leader_and_never_crosses(browser):
    asked = []

    async def token() -> str:
        asked.append(1)
        return f"secret-{len(asked)}"

    members = [await browser.open(token=token) for _ in range(3)]
    browser.socket.accept()
    await browser.settle()
    assert browser.socket.types[0] == "auth"
    assert browser.socket.frames[0]["payload"] == {"token": "secret-1"}
    browser.socket.deliver("auth-ok", {})
    members[2].connection.send("do", 1)
    await browser.settle()
    for member in members[1:]:
        member.connection.renew()  # theirs is not the socket
    await browser.settle()
    assert len(asked) == 1
    members[0].connection.renew()
    await browser.settle()
    browser.socket.accept()
    await browser.settle()
    assert browser.socket.frames[0]["payload"] == {"token": "secret-2"}
    assert [member.connection.is_connected for member in members] == [True] * 3
    crossed = repr(browser.origin.posted)
    assert "do" in crossed
    assert "secret" not in crossed
    assert "auth" not in crossed.replace("authorizing", "")


async def test_a_tab_that_is_opened_while_the_connection_is_down_waits_with_the_others(browser):
    members = await three(browser)
    browser.socket.drop(1006)
    await browser.settle()
    late = await browser.open()
    assert late.connection.state in ("waiting", "connecting")
    members[0].platform.advance(2)
    await browser.settle()
    browser.socket.accept()
    await browser.settle()
    assert late.connection.is_connected
    resumed(browser.socket, "10")
    browser.socket.deliver("note", 11, id="11")
    await browser.settle()
    assert [member.heard for member in [*members, late]] == [[11]] * 4


async def test_a_server_that_knows_only_type_payload_and_timestamp_does(browser):
    members = [await browser.open() for _ in range(3)]
    browser.socket.accept()
    await browser.settle()
    for n in (1, 2, 2, 3):
        browser.socket.deliver("note", n)
    await browser.settle()
    assert [member.heard for member in members] == [[1, 2, 2, 3]] * 3
    members[2].connection.send("do", 7)
    await browser.settle()
    assert [f["payload"] for f in browser.socket.frames if f["type"] == "do"] == [7]
    browser.origin.kill(members[0].platform)
    await browser.settle()
    browser.socket.accept()
    await browser.settle()
    browser.socket.deliver("note", 4)
    await browser.settle()
    assert [member.heard for member in members[1:]] == [[1, 2, 2, 3, 4]] * 2


async def test_a_tab_that_slept_through_two_changes_of_the_leader_misses_nothing(browser):
    members = [await browser.open() for _ in range(4)]
    browser.socket.accept()
    resumed(browser.socket, "10")
    await browser.settle()
    first, sleeper, second, other = members
    browser.origin.freeze(first.platform)
    browser.origin.freeze(sleeper.platform)
    for _ in range(30):
        for member in (second, other):
            member.platform.advance(0.5)
        await browser.settle()
    assert second.tabs.is_leader or other.tabs.is_leader
    leader = second if second.tabs.is_leader else other
    leader.platform.socket.accept()
    resumed(leader.platform.socket, "10")
    leader.platform.socket.deliver("note", 11, id="11")
    await browser.settle()
    browser.origin.thaw(first.platform)
    await browser.settle()
    await browser.settle()
    assert first.heard == [11]
    browser.origin.kill(leader.platform)
    await browser.settle()
    for _ in range(30):
        if not first.tabs.is_leader:
            first.platform.advance(0.5)
            await browser.settle()
    assert first.tabs.is_leader
    first.platform.socket.accept()
    resumed(first.platform.socket, "11")
    await browser.settle()
    first.platform.socket.deliver("note", 12, id="12")
    await browser.settle()
    browser.origin.thaw(sleeper.platform)
    for _ in range(5):
        await browser.settle()
    assert sleeper.heard == [11, 12]


async def test_a_tab_knows_its_position_as_soon_as_the_server_has_told_it(browser):
    members = [await browser.open() for _ in range(2)]
    browser.socket.accept()
    await browser.settle()
    resumed(browser.socket, "10")
    await browser.settle()
    positions = [member.connection._protocol.session.history.last for member in members]
    assert positions == ["10", "10"]
