from __future__ import annotations

import contextlib

import pytest

from services.errors import Disconnected
from services.shared_connection import SharedConnection
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
