"""services/browser.py: the adapter, against a real gateway."""

import asyncio

import js
import pytest
from pyodide.ffi import to_js

from services.browser import BrowserPlatform
from services.errors import ConfigurationError, ConnectionFailed, RequestTimeout


@pytest.fixture
def platform():
    return BrowserPlatform()


class Recorder:
    """Listens to a socket or a stream."""

    def __init__(self):
        self.heard = []

    def __getattr__(self, name):
        return lambda *values: self.heard.append((name, *values))

    def names(self):
        return [name for name, *_ in self.heard]


async def test_timers_fire_once_or_not_at_all(platform, until, proxies):
    fired = []
    platform.call_later(0.01, lambda: fired.append("kept"))
    cancel = platform.call_later(0.01, lambda: fired.append("cancelled"))
    cancel()
    cancel()
    await until(lambda: fired)
    await asyncio.sleep(0.03)
    assert fired == ["kept"]
    await proxies.settled()


async def test_a_failing_callback_is_reported(platform, until, monkeypatch):
    reported = []
    monkeypatch.setattr(platform, "report", reported.append)
    platform.call_later(0, lambda: 1 / 0)
    await until(lambda: reported)
    assert isinstance(reported[0], ZeroDivisionError)


@pytest.mark.parametrize(
    ("url", "websocket", "expected"),
    [
        ("./ws", True, "ws://{host}/ws"),
        ("./ws#part", True, "ws://{host}/ws"),
        ("wss://live.example.org/ws", True, "wss://live.example.org/ws"),
        ("https://live.example.org/ws", True, "wss://live.example.org/ws"),
        ("./api/events", False, "http://{host}/api/events"),
    ],
)
def test_urls_are_resolved_against_the_page(platform, url, websocket, expected):
    expected = expected.format(host=js.location.host)
    assert platform.resolve(url, websocket=websocket) == expected


@pytest.mark.parametrize("url", ["http://", "ftp://example.org/", "javascript:alert(1)"])
@pytest.mark.parametrize("websocket", [True, False])
def test_other_urls_are_refused(platform, url, websocket):
    with pytest.raises(ConfigurationError, match="url: expected"):
        platform.resolve(url, websocket=websocket)


async def test_a_socket_opens_answers_and_closes(platform, until, proxies):
    listener = Recorder()
    socket = platform.open_websocket(platform.resolve("./ws", websocket=True), listener)
    await until(lambda: "opened" in listener.names())
    socket.send('{"type": "ping", "payload": {}}')
    await until(lambda: "received" in listener.names())
    assert '"pong"' in listener.heard[1][1][0]
    socket.close(1000, "done")
    await asyncio.sleep(0.05)
    assert listener.names() == ["opened", "received"]
    del socket
    await proxies.settled()


async def test_a_socket_that_is_refused_says_so(platform, until, proxies):
    listener = Recorder()
    socket = platform.open_websocket(platform.resolve("./nothing", websocket=True), listener)
    await until(lambda: listener.heard)
    assert listener.heard[0][:2] == ("closed", 1006)
    socket.send("into the void")
    del socket
    await proxies.settled()


async def test_the_server_closes_a_socket(platform, until):
    listener = Recorder()
    socket = platform.open_websocket(platform.resolve("./ws", websocket=True), listener)
    await until(lambda: "opened" in listener.names())
    socket.send("no JSON")
    await until(lambda: "closed" in listener.names())
    name, code, reason = listener.heard[-1]
    assert (name, code) == ("closed", 4400)
    assert "JSON" in reason


def open_stream(platform, listener, path="./api/events", last_event_id=""):
    return platform.open_event_stream(
        platform.resolve(path),
        listener,
        with_credentials=False,
        last_event_id=last_event_id,
        token=None,
    )


async def test_a_stream_opens_and_brings_events(platform, until, proxies):
    listener = Recorder()
    cancel = open_stream(platform, listener)
    await until(lambda: "opened" in listener.names())
    position = listener.heard[listener.names().index("opened")][1]
    assert position.isdecimal()
    await BrowserPlatform().fetch(
        "POST",
        platform.resolve("./api/activities"),
        body='{"userName": "Ada", "action": "edited", "target": "a"}',
        timeout=5,
    )
    await until(lambda: "received" in listener.names())
    ((event, data, last_event_id),) = next(h[1] for h in listener.heard if h[0] == "received")
    assert event == "activity"
    assert '"Ada"' in data
    assert int(last_event_id) > int(position)
    assert "alive" in listener.names()
    cancel()
    cancel()

    again = Recorder()
    cancel = open_stream(platform, again, last_event_id=position)
    await until(lambda: "received" in again.names())
    assert next(h[1][0][2] for h in again.heard if h[0] == "received") == last_event_id
    cancel()
    await proxies.settled()


async def test_a_refused_stream_tells_the_status(platform, until, proxies):
    listener = Recorder()
    open_stream(platform, listener, "./api/nothing")
    await until(lambda: "closed" in listener.names())
    assert listener.heard[-1][:2] == ("closed", 404)
    await proxies.settled()


async def test_fetch_answers_and_fails_in_our_words(platform):
    answer = await platform.fetch("GET", platform.resolve("./healthz"), timeout=5)
    assert answer.status == 200
    assert '"ok"' in answer.text
    with pytest.raises(ConnectionFailed):
        await platform.fetch("GET", "http://127.0.0.1:9/", timeout=5)
    with pytest.raises(RequestTimeout):
        await platform.fetch("GET", platform.resolve("./api/events"), timeout=0.2)


def page_transition(name, *, persisted):
    options = to_js({"persisted": persisted}, dict_converter=js.Object.fromEntries)
    js.dispatchEvent(js.PageTransitionEvent.new(name, options))


async def test_the_browser_is_watched_until_cancelled(platform, proxies):
    watcher = Recorder()
    cancel = platform.watch(watcher)
    assert platform.is_visible
    for _ in range(2):
        js.dispatchEvent(js.Event.new("online"))
        js.dispatchEvent(js.Event.new("offline"))
        js.document.dispatchEvent(js.Event.new("visibilitychange"))
        page_transition("pagehide", persisted=True)
        page_transition("pageshow", persisted=True)
        page_transition("pagehide", persisted=False)
        page_transition("pageshow", persisted=False)
        cancel()
    assert watcher.heard == [
        ("online",),
        ("offline",),
        ("visible",),
        ("left", True),
        ("returned",),
        ("left", False),
    ]
    await proxies.settled()


def test_a_tab_keeps_what_it_is_given(platform):
    assert platform.stored("test") is None
    platform.store("test", "väl😀ue")
    assert platform.stored("test") == "väl😀ue"
    platform.store("test", "x" * 20_000_000)  # past any quota: left as it was
    assert platform.stored("test") == "väl😀ue"
    js.sessionStorage.removeItem("test")
