"""`<connection-inspector>`, over clients that do as they are told and over the real ones."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from js import document
from pyscript.js_modules import chart

from components.close_words import CODES, STATUSES, close_words
from components.connection_inspector import ConnectionInspector
from components.element import define, drawn
from components.gauge import Gauge
from services.browser import BrowserPlatform
from services.connection_stats import ConnectionStats
from services.errors import ConnectionFailed, Disconnected
from services.gateway_api import GatewayAPI
from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient

numbers = itertools.count(1)


class Moved:
    """A platform whose time and visibility the test moves."""

    def __init__(self):
        self.time = 1000.0
        self.is_visible = True
        self.timers = {}
        self.watchers = []
        self._order = itertools.count()

    def now(self):
        return self.time

    def call_later(self, delay, callback):
        key = (self.time + delay, next(self._order))
        self.timers[key] = callback
        return lambda: self.timers.pop(key, None)

    def watch(self, watcher):
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)

    def pass_seconds(self, seconds):
        until = self.time + seconds
        while self.timers and min(self.timers)[0] <= until:
            key = min(self.timers)
            self.time = max(self.time, key[0])
            self.timers.pop(key)()
        self.time = until

    def show(self, visible):
        self.is_visible = visible
        for watcher in self.watchers:
            (watcher.visible if visible else watcher.hidden)()


class OneWay:
    """A client that notes what is asked of it."""

    def __init__(self, state="open", **figures):
        self._stats = ConnectionStats(
            state=state, **({"attempts": 0, "last_close": None, "received": 0} | figures)
        )
        self.calls = []
        self.looks = 0
        self.handlers = []
        self.failure = None

    @property
    def stats(self):
        self.looks += 1
        return self._stats

    def become(self, event="error", **figures):
        self._stats = replace(self._stats, **figures)
        for type_, handler in tuple(self.handlers):
            if type_ == event:
                handler({})

    def on(self, type_, handler):
        self.handlers.append((type_, handler))
        return lambda: self.handlers.remove((type_, handler))

    def connect(self):
        self.calls.append("connect")

    def disconnect(self):
        self.calls.append("disconnect")
        self.become(state="closed")

    def pause(self, reason="paused"):
        self.calls.append(f"pause {reason}")
        self.become(state="waiting")

    def unpause(self):
        self.calls.append("unpause")
        self.become(state="connecting")


class BothWays(OneWay):
    """One that can send, too."""

    def ping(self):
        self.calls.append("ping")

    async def connect(self):
        self.calls.append("connect")
        if self.failure is not None:
            raise self.failure

    @property
    def pings(self):
        return self.calls.count("ping")


def make(connections, platform):
    """Define an inspector under a tag of its own; return a host that is in no page yet."""
    tag = f"tested-inspector-{next(numbers)}"
    tested = type("Tested", (ConnectionInspector,), {"tag": tag})
    define(tested, connections=connections, platform=platform)
    return document.createElement(tag)


async def put(stage, client, platform=None, name="Socket"):
    """Put an inspector of one client into the page; return its shadow root."""
    host = make({name: client}, platform or Moved())
    stage.append(host)
    await drawn()
    return host.shadowRoot


def text(root, selector):
    return " ".join(root.querySelector(selector).textContent.split())


def figure(root, name):
    return text(root, f".figures .{name} dd")


def is_off(root, name):
    return root.querySelector(f"button.{name}").getAttribute("aria-disabled") == "true"


def label(root, kind="rate"):
    return root.querySelector(f".{kind} line-chart").getAttribute("aria-label")


# States and words


@pytest.mark.parametrize(
    ("state", "attempts", "kind", "words"),
    [
        ("open", 0, "connected", "Connected"),
        ("closed", 0, "disconnected", "Disconnected"),
        ("connecting", 0, "disconnected", "Connecting …"),
        ("authorizing", 0, "disconnected", "Connecting …"),
        ("connecting", 2, "disconnected", "Disconnected, trying again …"),
        ("waiting", 2, "disconnected", "Disconnected, trying again …"),
        ("failed", 10, "disconnected", "Disconnected: too many attempts have failed"),
        ("refused", 0, "disconnected", "Disconnected: the server refuses"),
        ("ended", 0, "disconnected", "Disconnected: the server refuses"),
    ],
)
async def test_says_the_state_in_words_and_by_a_mark(stage, state, attempts, kind, words):
    root = await put(stage, BothWays(state, attempts=attempts))
    shown = root.querySelector(".connection-status")
    assert shown.classList.contains(kind)
    assert shown.getAttribute("role") == "status"
    assert text(root, ".connection-status .visually-hidden") == "Socket:"
    mark = text(root, ".mark")
    assert len(mark) == 1
    assert text(root, ".connection-status").removeprefix(f"{mark}Socket: ") == words
    assert figure(root, "state")
    assert figure(root, "attempts") == str(attempts)
    rests = state in {"closed", "failed", "refused", "ended"}
    assert text(root, "button.toggle") == ("Connect Socket" if rests else "Disconnect Socket")
    assert is_off(root, "reconnect") == is_off(root, "offline") == rests


async def test_what_is_announced_stays_the_same_while_it_tries(stage):
    client = BothWays("waiting", attempts=1)
    root = await put(stage, client)
    spoken = text(root, ".connection-status")
    for state in ("connecting", "waiting", "authorizing", "connecting"):
        client.become(state=state, attempts=3)
        await drawn()
        assert text(root, ".connection-status") == spoken
    client.become("connected", state="open")
    await drawn()
    assert text(root, ".connection-status").endswith("Connected")


@pytest.mark.parametrize(
    ("close", "words"),
    [
        (None, "none yet"),
        ((1006, ""), "the network was lost, or the server is away (1006)"),
        ((1012, ""), "the server restarts (1012)"),
        ((4000, ""), "no answer to a ping (4000)"),
        ((4401, ""), "the token was refused (4401)"),
        ((4403, ""), "not allowed (4403)"),
        ((4444, ""), "the server refuses (4444)"),
        ((3456, ""), "code 3456"),
        ((1000, "Client disconnect"), "closed normally (1000) “Client disconnect”"),
        ((403, "came HTTP 403"), "not allowed (HTTP 403)"),
        ((599, ""), "the server has a problem (HTTP 599)"),
        ((418, "a teapot"), "HTTP 418 “a teapot”"),
        ((None, "network error: it broke"), "the network was lost, or the server is away"),
        ((None, "nothing came for 45 s"), "nothing came for 45 s"),
        ((None, ""), "closed"),
    ],
)
async def test_says_why_it_closed(stage, close, words):
    root = await put(stage, OneWay("waiting", last_close=close))
    assert figure(root, "last-close") == words


def test_every_known_code_has_words_of_its_number():
    for code in CODES:
        assert close_words(code, "").endswith(f" ({code})")
    for status in STATUSES:
        assert close_words(status, "").endswith(f" (HTTP {status})")


async def test_a_long_reason_is_folded_up_and_whole_inside(stage):
    reason = "<b>why</b> " * 50
    root = await put(stage, BothWays("refused", last_close=(4403, reason)))
    assert text(root, ".last-close summary").endswith("…”")
    assert not root.querySelector(".last-close details").open
    assert text(root, ".last-close details > bdi") == reason.strip()


async def test_all_figures_are_there_as_text(stage):
    root = await put(
        stage,
        BothWays(
            received=1_234_567_890,
            sent=12,
            queued=3,
            unacknowledged=4,
            buffered=65_536,
            dropped=6,
            attempts=7,
        ),
    )
    names = ("received", "sent", "queued", "unacknowledged", "dropped", "buffered", "attempts")
    assert [figure(root, name) for name in names] == [
        "1,234,567,890",
        "12",
        "3",
        "4",
        "6",
        "65,536 B",
        "7",
    ]


async def test_a_one_way_connection_says_so_and_shows_what_it_has(stage):
    root = await put(stage, OneWay(received=5))
    assert "no round trip" in text(root, ".one-way")
    assert root.querySelectorAll("line-chart").length == 1
    assert not root.querySelector(".round-trip, .sent, .queued")


async def test_without_connections_it_says_so(stage):
    host = make({}, Moved())
    stage.append(host)
    await drawn()
    assert text(host.shadowRoot, ".empty") == "No connections"


async def test_names_are_text(stage):
    root = await put(stage, OneWay(), name="<i>\"Name\"</i> 'é' 🦊")
    assert text(root, "h3") == "<i>\"Name\"</i> 'é' 🦊"
    assert not root.querySelector("h3 i")


# Measurements


async def test_before_the_first_measurement_it_says_so(stage):
    root = await put(stage, BothWays("connecting"))
    for kind in ("rate", "round-trip"):
        assert text(root, f".{kind} .latest") == "–"
        assert text(root, f".{kind} p") == "no measurement yet"
        assert label(root, kind).endswith(": no measurement yet")


async def test_counts_what_comes_in_a_second(stage):
    client, platform = OneWay(received=100), Moved()
    root = await put(stage, client, platform)
    for total in (110, 130, 160):
        client.become(received=total)
        platform.pass_seconds(1)
    await drawn()
    assert text(root, ".rate .latest") == "30/s"
    assert text(root, ".rate p") == "median 20/s, highest 30/s"


async def test_measures_the_round_trip_every_five_seconds(stage):
    client, platform = BothWays(round_trip=0.0004), Moved()
    root = await put(stage, client, platform)
    assert client.pings == 1
    platform.pass_seconds(1)
    client.become(round_trip=1.5)
    platform.pass_seconds(1)
    await drawn()
    assert text(root, ".round-trip .latest") == "1,500 ms"
    assert text(root, ".round-trip p") == "median 1,500 ms, highest 1,500 ms"
    platform.pass_seconds(18)
    assert client.pings == 5


async def test_a_lost_connection_is_not_measured(stage):
    client, platform = BothWays(round_trip=0.5), Moved()
    root = await put(stage, client, platform)
    platform.pass_seconds(3)
    client.become(state="waiting")
    platform.pass_seconds(20)
    await drawn()
    assert client.pings == 1
    assert text(root, ".rate .latest") == text(root, ".round-trip .latest") == "–"
    assert "now not measured; median 0 per second" in label(root)
    client.become("connected", state="open")
    platform.pass_seconds(1)
    await drawn()
    assert client.pings == 2
    # That of the former connection says nothing.
    assert text(root, ".round-trip .latest") == "–"


async def test_a_minute_without_a_connection_has_no_measurement(stage):
    client, platform = OneWay(), Moved()
    root = await put(stage, client, platform)
    platform.pass_seconds(3)
    client.become(state="closed")
    platform.pass_seconds(90)
    await drawn()
    assert text(root, ".rate p") == "no measurement"
    assert label(root).endswith("now not measured; no measurement in the last 60 seconds")


async def test_a_chart_is_told_in_words_at_a_calm_pace(stage):
    client, platform = OneWay(), Moved()
    root = await put(stage, client, platform)
    client.become(received=5)
    platform.pass_seconds(1)
    await drawn()
    told = "Receiving: now 5 per second; median 5 per second, highest 5 per second"
    assert label(root) == f"{told} in the last 60 seconds"
    assert root.querySelector("line-chart").getAttribute("role") == "img"
    labels = []
    for second in range(20):
        client.become(received=10 * second**2 + 10)
        platform.pass_seconds(1)
        await drawn()
        labels.append(label(root))
    assert len(set(labels)) == 3


async def test_the_last_minute_is_kept_and_no_more(stage):
    client, platform = OneWay(), Moved()
    root = await put(stage, client, platform)
    client.become(received=1000)
    platform.pass_seconds(1)
    await drawn()
    assert "highest 1,000/s" in text(root, ".rate p")
    platform.pass_seconds(70)
    await drawn()
    assert text(root, ".rate p") == "median 0/s, highest 0/s"


def test_a_gauge_keeps_a_bounded_number_of_samples():
    gauge = Gauge("rate", "Receiving", "/s", " per second")
    for second in range(1000):
        gauge.add(second, second)
    times, values = gauge.points(999)
    assert len(times) == len(values) == 62
    assert (times[-1], values[-1]) == (0, 999)


async def test_nothing_is_sampled_or_drawn_while_nobody_sees_it(stage):
    client, platform = BothWays(round_trip=0.1), Moved()
    root = await put(stage, client, platform)
    client.become(received=10)
    platform.pass_seconds(2)
    await drawn()
    platform.show(False)
    looks, calls, shown = client.looks, len(client.calls), text(root, ".rate .latest")
    assert platform.timers == {}
    client.become(event="nothing that anybody hears", received=10_000)
    platform.pass_seconds(30)
    await drawn()
    assert (client.looks, len(client.calls), text(root, ".rate .latest")) == (looks, calls, shown)
    platform.show(True)
    await drawn()
    # What came meanwhile is no rate of a second.
    assert text(root, ".rate .latest") == "–"
    client.become(received=10_003)
    platform.pass_seconds(1)
    await drawn()
    assert text(root, ".rate .latest") == "3/s"
    assert text(root, ".rate p") == "median 3/s, highest 10/s"


async def test_begins_when_the_page_is_first_seen(stage):
    client, platform = BothWays(), Moved()
    platform.is_visible = False
    await put(stage, client, platform)
    assert platform.timers == {}
    assert client.pings == 0
    platform.show(True)
    platform.show(True)
    assert len(platform.timers) == 1


# Charts


def canvases(root):
    return root.querySelectorAll("line-chart canvas")


def painted(canvas):
    """Return how many pixels are not empty."""
    data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
    return sum(1 for alpha in data.to_bytes()[3::4] if alpha)


async def test_one_chart_for_each_figure_drawn_when_there_are_values(stage, until):
    client, platform = BothWays(round_trip=0.002), Moved()
    root = await put(stage, client, platform)
    await until(lambda: canvases(root).length == 2, "two charts")
    await until(lambda: painted(canvases(root)[0]) > 0, "the grid")
    before = painted(canvases(root)[0])
    for total in range(100, 3000, 100):
        client.become(received=total)
        platform.pass_seconds(1)
    await drawn()
    await until(lambda: painted(canvases(root)[0]) > 2 * before, "a line")
    assert canvases(root).length == 2
    assert chart.charts.size == 2


async def test_a_chart_has_the_width_of_its_place(stage, until):
    root = await put(stage, OneWay())
    await until(lambda: canvases(root).length == 1, "a chart")

    def fits():
        place = root.querySelector("line-chart").getBoundingClientRect()
        return abs(canvases(root)[0].getBoundingClientRect().width - place.width) < 1

    await until(fits, "the first size")
    was = canvases(root)[0].getBoundingClientRect().width
    stage.style.width = "320px"
    try:
        await until(lambda: fits() and canvases(root)[0].getBoundingClientRect().width != was)
    finally:
        stage.style.width = ""


async def test_values_of_any_size_are_drawn(stage, until, capsys):
    client, platform = BothWays(), Moved()
    root = await put(stage, client, platform)
    for total, seconds in ((10**15, 1e-9), (10**15, 1e6), (10**18, 0.0)):
        client.become(received=total, round_trip=seconds)
        platform.pass_seconds(1)
    await drawn()
    await until(lambda: canvases(root).length == 2, "two charts")
    assert text(root, ".rate .latest") == "999,000,000,000,000,000/s"
    assert root.querySelector("[role=alert]").textContent == ""
    assert capsys.readouterr().err == ""


# Buttons


async def test_disconnect_and_connect_take_turns(stage):
    client = OneWay()
    root = await put(stage, client)
    button = root.querySelector("button.toggle")
    button.focus()
    button.click()
    await drawn()
    assert text(root, "button.toggle") == "Connect Socket"
    button.click()
    assert client.calls == ["disconnect", "connect"]
    assert root.activeElement.isSameNode(button)


async def test_reconnect_keeps_what_waits(stage):
    client = BothWays()
    root = await put(stage, client)
    root.querySelector("button.reconnect").click()
    assert client.calls == ["ping", "pause reconnect", "unpause"]


async def test_simulates_offline_until_told_otherwise(stage):
    client = OneWay()
    root = await put(stage, client)
    button = root.querySelector("button.offline")
    assert button.getAttribute("aria-pressed") == "false"
    button.focus()
    button.click()
    await drawn()
    assert client.calls == ["pause simulated offline"]
    assert button.getAttribute("aria-pressed") == "true"
    assert text(root, ".connection-status").endswith("Disconnected: simulated offline")
    assert is_off(root, "reconnect")
    root.querySelector("button.reconnect").click()
    button.click()
    await drawn()
    assert client.calls == ["pause simulated offline", "unpause"]
    assert button.getAttribute("aria-pressed") == "false"
    assert root.activeElement.isSameNode(button)


async def test_a_pause_that_somebody_else_ended_is_over(stage):
    client = OneWay()
    root = await put(stage, client)
    root.querySelector("button.offline").click()
    client.become("connected", state="open")
    await drawn()
    assert root.querySelector("button.offline").getAttribute("aria-pressed") == "false"


async def test_what_was_closed_while_offline_can_still_come_back(stage):
    client = OneWay()
    root = await put(stage, client)
    root.querySelector("button.offline").click()
    root.querySelector("button.toggle").click()
    await drawn()
    assert not is_off(root, "offline")
    root.querySelector("button.offline").click()
    assert client.calls == ["pause simulated offline", "disconnect", "unpause"]


async def test_buttons_that_make_no_sense_do_nothing(stage):
    client = BothWays("refused")
    root = await put(stage, client)
    for name in ("reconnect", "offline"):
        button = root.querySelector(f"button.{name}")
        button.focus()
        button.click()
        assert root.activeElement.isSameNode(button)
    assert client.calls == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ConnectionFailed("no"), "Not connected: the server cannot be reached"),
        (Disconnected(4401), "Not connected: the token was refused (4401)"),
        (Disconnected(1000, "Client disconnect"), ""),
    ],
)
async def test_says_why_connecting_did_not_work(stage, until, failure, words):
    client = BothWays("closed")
    client.failure = failure
    root = await put(stage, client)
    root.querySelector("button.toggle").click()
    await until(lambda: client.calls == ["connect"])
    await drawn()
    assert text(root, ".trouble") == words
    assert root.querySelector(".trouble").getAttribute("role") == "alert"
    client.become("connected", state="open")
    await drawn()
    assert text(root, ".trouble") == ""


# Coming and going


async def test_leaves_nothing_behind(stage, until, proxies):
    client, platform = BothWays(round_trip=0.001), Moved()
    host = make({"One": client, "Two": OneWay("closed")}, platform)

    async def come_and_go():
        stage.append(host)
        await drawn()
        await until(lambda: chart.charts.size == 3, "three charts")
        platform.pass_seconds(3)
        await drawn()
        host.shadowRoot.querySelector("button.reconnect").click()
        await drawn()
        host.remove()
        assert client.handlers == platform.watchers == []
        assert platform.timers == {}
        assert chart.charts.size == 0
        assert canvases(host.shadowRoot).length == 0

    for _ in range(5):
        await come_and_go()
    await proxies.settled()


async def test_a_task_under_way_ends_when_it_leaves(stage, until):
    ended = []

    class Slow(BothWays):
        async def connect(self):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

    root = await put(stage, Slow("closed"))
    root.querySelector("button.toggle").click()
    root.host.remove()
    await until(lambda: ended == [True], "the task to end")


async def test_what_it_simulated_ends_with_it(stage):
    client = OneWay()
    root = await put(stage, client)
    root.querySelector("button.offline").click()
    root.host.remove()
    assert client.calls == ["pause simulated offline", "unpause"]


async def test_comes_back_with_what_it_knew(stage, until):
    client, platform = OneWay(), Moved()
    root = await put(stage, client, platform)
    client.become(received=7)
    platform.pass_seconds(1)
    host = root.host
    host.remove()
    platform.pass_seconds(5)
    stage.append(host)
    await drawn()
    assert text(root, ".rate p") == "median 7/s, highest 7/s"
    await until(lambda: canvases(root).length == 1, "the chart to be drawn again")


# The real ones


async def test_real_connections(stage, until, proxies):
    platform = BrowserPlatform()
    api = GatewayAPI("./api/")

    async def come_and_go():
        socket, events = WebSocketClient("./ws"), SSEClient("./api/events")
        host = make({"WebSocket": socket, "Event stream": events}, platform)
        stage.append(host)
        await drawn()
        root = host.shadowRoot
        parts = root.querySelectorAll(".connection")

        def states():
            return [text(part, ".connection-status").rpartition(": ")[2] for part in parts]

        assert states() == ["Disconnected", "Disconnected"]
        for part in parts:
            part.querySelector("button.toggle").click()
        await until(lambda: states() == ["Connected", "Connected"], "both to connect")
        await until(lambda: text(parts[0], ".round-trip .latest").endswith(" ms"), "a round trip")
        await api.post_notification(title="One")
        await until(lambda: figure(parts[0], "received") == "1", "the count")
        parts[0].querySelector("button.offline").click()
        socket.send("note", {})
        await until(lambda: figure(parts[0], "queued") == "1", "the queue")
        assert states()[0] == "simulated offline"
        assert figure(parts[0], "last-close") == "closed normally (1000) “simulated offline”"
        parts[0].querySelector("button.offline").click()
        await until(lambda: figure(parts[0], "sent") == "1", "the queue to be sent")
        parts[1].querySelector("button.reconnect").click()
        await until(lambda: states() == ["Connected", "Connected"], "both to be back")
        for part in parts:
            part.querySelector("button.toggle").click()
        await until(lambda: states() == ["Disconnected", "Disconnected"], "both to close")
        host.remove()

    for _ in range(3):
        await come_and_go()
    assert chart.charts.size == 0
    await proxies.settled()
