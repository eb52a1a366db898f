"""The clients and the feeds, in the page, against a real gateway."""

import asyncio

import pytest
from js import document

from components.activity_feed import ActivityFeed
from components.element import define, drawn
from components.notification_feed import NotificationFeed
from services.browser import BrowserPlatform
from services.errors import RequestRejected
from services.gateway_api import GatewayAPI
from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient

platform = BrowserPlatform()
api = GatewayAPI("./api/")


async def test_messages_arrive_once_in_order(until):
    client = WebSocketClient("./ws")
    titles, everything = [], []
    client.on("notification", lambda payload: titles.append(payload["title"]))
    client.on("*", everything.append)
    await asyncio.gather(client.connect(), client.connect())
    assert client.is_connected
    for n in range(20):
        await api.post_notification(title=f"n{n}")
    await until(lambda: len(titles) == 20)
    assert titles == [f"n{n}" for n in range(20)]
    assert {message["type"] for message in everything} == {"notification"}
    client.disconnect()
    assert client.state == "closed"


async def test_a_request_is_answered():
    client = WebSocketClient("./ws")
    await client.connect()
    with pytest.raises(RequestRejected, match="unknown type"):
        await client.request("nonsense", {})
    client.disconnect()


async def test_messages_can_be_iterated():
    client = WebSocketClient("./ws")
    await client.connect()
    found = []

    async def read():
        async for message in client.messages("notification"):
            found.append(message["payload"]["title"])
            if len(found) == 2:
                return

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    for title in ("one", "two"):
        await api.post_notification(title=title)
    await asyncio.wait_for(reading, 5)
    assert found == ["one", "two"]
    client.disconnect()


async def test_events_arrive_and_state_tells_the_truth(until):
    client = SSEClient("./api/events")
    log = []
    client.on("activity", lambda activity: log.append(activity["target"]))
    client.on("connected", lambda _: log.append("connected"))
    client.on("disconnected", lambda _: log.append("disconnected"))
    client.connect()
    await until(lambda: client.is_connected)
    event_id = await api.post_activity(user_name="Ada", action="edited", target="notes")
    await until(lambda: len(log) == 2)
    assert client.last_event_id == event_id
    client.disconnect()
    assert log == ["connected", "notes", "disconnected"]


async def test_nothing_is_left_of_closed_clients(until, proxies):
    async def come_and_go():
        socket, events = WebSocketClient("./ws"), SSEClient("./api/events")
        await socket.connect()
        events.connect()
        await until(lambda: events.is_connected)
        socket.disconnect()
        events.disconnect()

    for _ in range(5):
        await come_and_go()
    await proxies.settled()


class Handlers:
    """A client's `on`, counting the handlers that are registered."""

    def __init__(self, client):
        self.client = client
        self.count = 0

    def __getattr__(self, name):
        return getattr(self.client, name)

    def on(self, event, handler):
        unsubscribe = self.client.on(event, handler)
        self.count += 1

        def counted():
            self.count -= 1
            unsubscribe()

        return counted


async def test_feeds_leave_nothing_behind(stage, until, proxies):
    socket, events = Handlers(WebSocketClient("./ws")), Handlers(SSEClient("./api/events"))
    define(NotificationFeed, socket=socket, platform=platform)
    define(ActivityFeed, events=events, api=api, platform=platform)

    async def come_and_go():
        feeds = [document.createElement(tag) for tag in ("notification-feed", "activity-feed")]
        stage.append(*feeds)
        await until(lambda: socket.is_connected and events.is_connected, "both to connect")
        await api.post_notification(title="One", message="body")
        await until(lambda: feeds[0].shadowRoot.querySelector(".notification"), "a card")
        assert socket.count > 0
        assert events.count > 0
        for feed in feeds:
            feed.remove()
        assert socket.count == events.count == 0

    for _ in range(5):
        await come_and_go()
    socket.disconnect()
    events.disconnect()
    await drawn()
    await proxies.settled()
